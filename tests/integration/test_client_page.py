"""The page about the client, as a reader works through it: every example runs, against the whole stack."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import service.client as client
from cinemo_core.training.sources import photo_path
from service.client import CinemoError
from tests.integration.conftest import Service

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the photos that the page names."""
    for photo, name in (("coffee.png", "photo.jpg"), ("astronaut.png", "other.jpg")):
        with Image.open(photo_path(photo)) as image:
            image.convert("RGB").save(tmp_path / name)
    return tmp_path


def test_every_example_of_the_page_works_in_its_order(service: Service, folder: Path) -> None:
    program = "\n".join(EXAMPLES).replace("http://127.0.0.1:8000", service.stack.url)
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(EXAMPLES) == 6
    videos = [folder / "video.mp4", *folder.glob("job_*.mp4")]
    assert len(videos) == 3
    assert all(video.read_bytes()[4:8] == b"ftyp" for video in videos)
    lines = done.stdout.splitlines()
    assert lines[0] == "job.queued None"
    assert "progress 1.0" in lines
    assert lines.count("job.succeeded None") == 1
    assert "{'order': '4711'} []" in lines
    assert lines[-1].startswith("INPUT.INVALID [('#/motion_intensity',")


def test_the_page_explains_every_error() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    classes = [getattr(client, name) for name in client.__all__]
    errors = {each.__name__ for each in classes if issubclass(each, CinemoError)}
    assert set(explained) == errors - {"CinemoError"}
