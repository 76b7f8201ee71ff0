"""Compares the result of following a page with what the page promises."""

import json
import re
from pathlib import Path

from PIL import Image

from cinemo_core import read_video
from tests.docs.claims import Reading

SHORTEST_CLIP = 8


def expect(reading: Reading, folder: Path, printed: str) -> None:
    """Fail if a file is missing or unreadable, or text was not printed."""
    for pattern in reading.files:
        found = list(folder.glob(pattern))
        assert found, f"no {pattern}"
        for path in found:
            read(path)
    output = printed + "".join(log.read_text(errors="replace") for log in sorted(folder.glob("terminal-*.log")))
    for said in reading.says:
        assert re.search(said, output, re.MULTILINE), f"{said} is not in\n{output[-6000:]}"


def read(path: Path) -> None:
    """Parse a file by its suffix; a folder is a model."""
    if path.is_dir():
        assert json.loads((path / "cinemo.json").read_text())["motion_scale"]
    elif path.suffix in (".mp4", ".webm"):
        assert len(read_video(path)[0]) >= SHORTEST_CLIP
    elif path.suffix == ".json":
        assert json.loads(path.read_text())
    else:
        with Image.open(path) as image:
            image.load()
