"""`make up`: the whole stack in the foreground; Ctrl-C stops all of it."""

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import IO, NoReturn

from deploy.local.redis import RedisMissing
from deploy.local.stack import Interrupted, Stack, StackFailed, running_stack

EXAMPLE = """
  API      {url}        documentation at {url}/docs
  animate  curl -F image=@photo.jpg -F prompt="the camera pans left" {url}/animate
  poll     curl {url}/jobs/<id>
  cinemo   . {settings} first: cinemo doctor, cinemo webhooks secret show --tenant default, …
  train    curl --json '{{"name": "mine", "data": {{"source": "datasets/mine"}}, "steps": 100}}' {url}/train

Ctrl-C stops everything.
"""


def main() -> int:
    """Run until interrupted; returns the exit code."""
    parser = argparse.ArgumentParser(description="Run the whole service on this machine.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--folder", type=Path, default=Path("var/up"))
    arguments = parser.parse_args()
    try:
        with running_stack(arguments.folder, arguments.port, trainer=True) as stack:
            settings = write_settings(stack)
            print(EXAMPLE.format(url=stack.url, settings=settings), flush=True)
            follow(stack)
    except Interrupted:
        print("stopped", flush=True)
        return 0
    except (StackFailed, RedisMissing) as error:
        print(error, file=sys.stderr)
        return 1


def write_settings(stack: Stack) -> Path:
    """Write the stack's settings as a shell reads them, for commands and workers beside it; returns where they are."""
    path = stack.folder / "settings.env"
    own = sorted((name, value) for name, value in stack.environment.items() if name.startswith("CINEMO_"))
    path.touch(mode=0o600)
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in own))
    return path


def follow(stack: Stack) -> NoReturn:
    """Print the parts' logs as they grow, until a part dies or a signal comes."""
    logs: dict[str, IO[str]] = {name: stack.log_path(name).open(errors="replace") for name in stack.processes}
    while True:
        for name, log in logs.items():
            for line in log.readlines():
                print(f"{name:>8} | {line}", end="", flush=True)
        stack.check()
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
