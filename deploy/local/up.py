"""`make up`: runs the whole service in the foreground until Ctrl-C."""

import shlex
import time
from pathlib import Path
from typing import IO, Annotated, NoReturn

import typer

from deploy.local.redis import RedisMissing
from deploy.local.stack import Interrupted, Stack, StackFailed, running_stack

EXAMPLE = """
  API      {url}        documentation at {url}/docs
  animate  curl -F image=@photo.jpg -F prompt="the camera pans left" {url}/animate
  poll     curl {url}/jobs/<id>
  cinemo   after `. {settings}`: cinemo doctor, cinemo webhooks secret show --tenant default, …
  train    curl --json '{{"name": "mine", "data": {{"source": "datasets/mine"}}, "steps": 100}}' {url}/train

Ctrl-C stops everything.
"""


def up(
    port: Annotated[int, typer.Option(help="Port of the API on 127.0.0.1.")] = 8000,
    folder: Annotated[Path, typer.Option(help="Folder for data, logs and settings.")] = Path("var/up"),
) -> None:
    """Run the whole service on this machine until interrupted."""
    try:
        with running_stack(folder, port, trainer=True) as stack:
            settings = write_settings(stack)
            print(EXAMPLE.format(url=stack.url, settings=settings), flush=True)
            print_logs(stack)
    except Interrupted:
        print("stopped", flush=True)
    except (StackFailed, RedisMissing) as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error


def write_settings(stack: Stack) -> Path:
    """Write the stack's settings as a shell script, for commands and other workers; returns its path."""
    path = stack.folder / "settings.env"
    settings = sorted((name, value) for name, value in stack.environment.items() if name.startswith("CINEMO_"))
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings))
    return path


def print_logs(stack: Stack) -> NoReturn:
    """Print the processes' logs as they grow, until a process dies or a signal arrives."""
    logs: dict[str, IO[str]] = {name: stack.log_path(name).open(errors="replace") for name in stack.processes}
    while True:
        for name, log in logs.items():
            for line in log.readlines():
                print(f"{name:>8} | {line}", end="", flush=True)
        stack.check()
        time.sleep(0.2)


if __name__ == "__main__":
    typer.run(up)
