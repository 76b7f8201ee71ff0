"""`make demo`, as a newcomer runs it."""

import json
import subprocess
from pathlib import Path

from cinemo_core import read_video

ROOT = Path(__file__).parents[2]


def test_make_demo_animates_a_real_photo_and_saves_the_video(tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = f"--out {out} --folder {tmp_path / 'stack'} --steps 4"
    done = subprocess.run(
        ["make", "demo", f"ARGUMENTS={arguments}"], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 %" in done.stdout
    job = json.loads((out / "job.json").read_text())
    assert job["status"] == "succeeded"
    assert job["progress"]["step"] == 4
    assert json.loads((out / "manifest.json").read_text())["request"] == job["request"]
    frames, rate = read_video(out / "video.mp4")
    assert (frames.shape, rate) == ((46, 400, 600, 3), 24), "as large as the photo, three times as smooth"
    assert (out / "poster.jpg").read_bytes().startswith(b"\xff\xd8\xff")


def test_a_demo_that_cannot_work_fails_with_the_reason(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a picture")
    arguments = f"--image {text} --out {tmp_path / 'out'} --folder {tmp_path / 'stack'}"
    done = subprocess.run(
        ["make", "demo", f"ARGUMENTS={arguments}"], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode != 0
    assert "INPUT.IMAGE.UNSUPPORTED" in done.stdout
    assert not (tmp_path / "out").exists()
