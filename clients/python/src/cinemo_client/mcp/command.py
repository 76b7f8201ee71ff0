"""The command `cinemo mcp`, also installed as `cinemo-mcp`: serves one client over stdio, or many over HTTP."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cinemo_client.mcp.server import CinemoServer

KEY_VARIABLE = "CINEMO_API_KEY"
MAX_REQUEST_BYTES = 24 * 2**20
"""Enough for the largest photo that the service takes, in base64."""
STOP_SECONDS = 1
"""How long waiting calls may continue after a signal; their jobs continue anyway."""

Url = Annotated[str, typer.Option(help="URL of the service.")]
Folder = Annotated[list[Path] | None, typer.Option(help="Folder whose files agents can send; may be repeated.")]
WaitSeconds = Annotated[
    float, typer.Option(min=0, help="How long a call waits for its video if the client doesn't support tasks.")
]
Http = Annotated[bool, typer.Option("--http", help="Serve many clients, over streamable HTTP at /mcp.")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on.")]


def serve(
    url: Url = "http://127.0.0.1:8000",
    folder: Folder = None,
    wait_seconds: WaitSeconds = 45,
    http: Http = False,
    host: Host = "127.0.0.1",
    port: Port = 9010,
) -> None:
    """Serve agents over MCP, on stdin and stdout, or with --http to many clients.

    The API key is CINEMO_API_KEY. Over HTTP, each client sends its own, as a bearer token.
    """
    folders = tuple(Path(os.path.expanduser(each)) for each in folder or ())
    if http and folders:
        raise typer.BadParameter("--folder gives access to files on this machine, which isn't for clients over HTTP")
    if missing := [each for each in folders if not each.is_dir()]:
        raise typer.BadParameter(f"{missing[0]} is not a folder")
    if find_spec("mcp") is None:
        typer.echo("error: this needs the extra `mcp`: pip install 'cinemo-client[mcp]'", err=True)
        raise typer.Exit(1)
    # Imported here because it takes a second, which would delay all other commands.
    from cinemo_client.mcp.server import build
    from cinemo_client.mcp.tools import Tools
    from cinemo_client.protocol import Connection

    # Over HTTP, a client without a key must not use this server's.
    key = None if http else os.environ.get(KEY_VARIABLE)
    try:
        connection = Connection(url, key)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    server = build(connection, Tools(folders, wait_seconds))
    if http:
        serve_http(server, host, port)
    else:
        serve_stdio(server)


def serve_stdio(server: "CinemoServer") -> None:
    """Serve until the client closes stdin."""
    import anyio
    from mcp.server.stdio import stdio_server

    async def run() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(run)


def serve_http(server: "CinemoServer", host: str, port: int) -> None:
    """Serve until a signal. Without sessions, any replica can answer any request, with the key that it carries."""
    import uvicorn

    app = server.streamable_http_app(stateless_http=True, host=host, max_request_body_size=MAX_REQUEST_BYTES)
    uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=STOP_SECONDS)


def main() -> None:
    """Run the command `cinemo-mcp`."""
    typer.run(serve)


if __name__ == "__main__":
    main()
