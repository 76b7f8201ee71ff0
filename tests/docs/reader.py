"""Follows a page to the letter, like somebody who has cloned the repository.

Names of machines and ports are the only thing that is exchanged: those of the page are not ours to take.
"""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cinemo_core.training.sources import photo_path
from deploy.local.redis import free_port
from tests.docs.pages import ROOT, Block
from tests.docs.script import PORT, UP_SAYS, script_of
from tests.processes import wait_until

NOT_CLONED = {".git", "var", "demo-output"}
PHOTOS = {"photo.jpg": "coffee.png", "other.jpg": "astronaut.png"}
TAIL_CHARACTERS = 4000
START_SECONDS, PAGE_SECONDS, STOP_SECONDS = 240, 840, 120


@dataclass(frozen=True)
class MadeUp:
    """A running `make up`."""

    process: "subprocess.Popen[bytes]"
    port: int
    folder: Path
    output: Path

    @property
    def settings(self) -> dict[str, str]:
        """The settings that it wrote."""
        words = shlex.split((self.folder / "settings.env").read_text())
        return dict(word.split("=", 1) for word in words if word != "export")


@contextmanager
def made_up(folder: Path, variables: Mapping[str, str] | None = None) -> Iterator[MadeUp]:
    """Run `make up` on a free port, from when it reports ready; stops it unless the test has."""
    port, output = free_port(), folder.with_name(f"{folder.name}.out")
    command = ["make", "up", f"ARGUMENTS=--port {port} --folder {folder}"]
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **(variables or {})}, stdout=file, start_new_session=True
        )

    def says_so() -> bool:
        assert process.poll() is None, output.read_text()
        return UP_SAYS in output.read_text()

    try:
        wait_until(says_so, START_SECONDS, "the stack of `make up`")
        yield MadeUp(process, port, folder, output)
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Stop a process and its group; if it must be killed, the test fails."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            wait_until(lambda: not group_lives(process), STOP_SECONDS, "the end of what was started")
        except AssertionError:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def group_lives(process: "subprocess.Popen[bytes]") -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def clone_into(folder: Path, stack: MadeUp | None) -> None:
    """Create what exists before a page begins: the repository, `make up`, and two photos of the reader."""
    for path in ROOT.iterdir():
        if path.name not in NOT_CLONED:
            (folder / path.name).symlink_to(path)
    (folder / "var").mkdir()
    if stack:
        (folder / "var" / "up").symlink_to(stack.folder)
    for name, photo in PHOTOS.items():
        Image.open(photo_path(photo)).convert("RGB").save(folder / name)


def follow(blocks: Sequence[Block], folder: Path, places: Mapping[str, str]) -> str:
    """Do what the blocks say, in a folder; returns what is printed.

    Args:
        places: what stands for machines and ports of the page; ports that it does not have become free ones.

    Raises:
        AssertionError: a command fails; with the ends of what was printed, where it stands in `complaints.log`.
    """
    script = script_of(blocks)
    free = {port: str(free_port()) for port in PORT.findall(script)}
    script = at_places(script, {**free, **places})
    environment = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    printed, complaints = folder / "printed.log", folder / "complaints.log"
    with printed.open("wb") as output, complaints.open("wb") as errors:
        process = subprocess.Popen(
            ["bash", "-c", script], cwd=folder, env=environment, stdout=output, stderr=errors, start_new_session=True
        )
    try:
        process.wait(PAGE_SECONDS)
    finally:
        end(process)
    assert process.returncode == 0, "\n".join(f"{log.name}:\n{tail(log)}" for log in sorted(folder.glob("*.log")))
    return printed.read_text(errors="replace")


def tail(log: Path) -> str:
    """The end of a log."""
    return log.read_text(errors="replace")[-TAIL_CHARACTERS:]


def at_places(script: str, places: Mapping[str, str]) -> str:
    """Replace the page's hosts and ports with this run's."""
    names = "|".join(re.escape(name) for name in sorted(places, key=len, reverse=True))
    return re.sub(rf"\b(?:{names})\b", lambda found: places[found[0]], script) if places else script
