"""How configuration files of Model Context Protocol clients name our server."""

from typing import Annotated, Literal

import typer
import typer.main
from pydantic import AfterValidator, BaseModel

from cinemo_client.mcp.command import serve


def options(arguments: list[str]) -> list[str]:
    """Arguments that the command accepts."""
    app = typer.Typer()
    app.command()(serve)
    typer.main.get_command(app).make_context("cinemo-mcp", list(arguments))
    return arguments


class Server(BaseModel):
    """A server that the client starts."""

    type: Literal["stdio"] = "stdio"
    command: Literal["/home/you/venv/bin/cinemo-mcp"]
    args: Annotated[list[str], AfterValidator(options)]
    env: dict[Literal["CINEMO_API_KEY"], str]


class Input(BaseModel):
    """A value that the client asks its user for."""

    id: str
    type: Literal["promptString"]
    description: str
    password: bool


class ClaudeFile(BaseModel):
    """The format of Claude Desktop, Cursor and most others."""

    mcpServers: dict[str, Server]


class EditorFile(BaseModel):
    """The format of VS Code."""

    servers: dict[str, Server]
    inputs: list[Input]
