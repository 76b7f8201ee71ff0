"""`python -m cinemo_core`: a photo and a sentence in, a video out, without a service."""

import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from cinemo_core import InvalidParameter, read_video
from cinemo_core.__main__ import app
from cinemo_core.checkpoint import BUILT_IN
from cinemo_core.training.loop import train
from cinemo_core.training.sources import photo_path
from cinemo_spec.card import ModelCard
from cinemo_spec.training import TrainConfig
from tests.forked import completed
from tests.pictures import png_header
from tests.video_files import numbered, write

SHORT = ("--frames", 8, "--detail", "off")


def run(*arguments: object) -> Result:
    """Run in this process, which is faster than starting one; unexpected errors are raised."""
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_animate_writes_a_video_and_a_poster(tmp_path: Path) -> None:
    video, poster = tmp_path / "out.mp4", tmp_path / "poster.jpg"
    options = ["-o", str(video), "--poster", str(poster), "--steps", "2", "--detail", "off"]
    command = [sys.executable, "-m", "cinemo_core", "animate", str(photo_path("coffee.png")), "zoom in", *options]
    done = completed(command)
    assert done.returncode == 0, done.stderr
    assert "16 frames" in done.stdout
    assert "2/2" in done.stderr, "a progress bar shows the steps"
    assert read_video(video)[0].shape == (16, 128, 192, 3)
    assert poster.read_bytes().startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--motion-intensity", 20), "motion_intensity"),
        (("--steps", 0), "steps"),
        (("--model", "nonsense"), "nonsense"),
        (("--motion-bucket-id", 1001), "motion_bucket_id"),
        (("--frame-rate-factor", 0), "frame_rate_factor"),
        (("--fps", 101), "fps"),
    ],
)
def test_an_invalid_option_gives_a_one_line_error_and_no_video(
    tmp_path: Path, option: tuple[object, ...], message: str
) -> None:
    done = run("animate", photo_path("coffee.png"), "zoom in", "-o", tmp_path / "out.mp4", *option)
    assert done.exit_code == 1
    assert message in done.stderr
    assert not (tmp_path / "out.mp4").exists()


def test_an_invalid_picture_gives_a_one_line_error(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a picture")
    done = run("animate", text, "zoom in", "-o", tmp_path / "out.mp4")
    assert done.exit_code == 1
    assert "the picture is not one of" in done.stderr


def test_edit_applies_a_videos_motion_to_a_photo_in_any_format(tmp_path: Path) -> None:
    source, moved = tmp_path / "source.webm", tmp_path / "moved.webp"
    photo = photo_path("coffee.png")
    assert run("animate", photo, "pan left", "-o", source, "--steps", 2, *SHORT).exit_code == 0
    done = run("edit", source, photo, "-o", moved, "--frames", 8, "--steps", 2, "--width", 66, "--fps", 5)
    assert done.exit_code == 0, done.stderr
    frames, rate = read_video(moved)
    assert frames.shape == (22, 44, 66, 3), "the height follows the photo's shape, and there are three times the frames"
    assert rate == pytest.approx(15, rel=0.03)


@pytest.mark.parametrize(
    ("options", "frames", "rate"),
    [
        ((), 8, 30),
        (("--frame-interval", 2), 15, 30),
        (("--frame-interval", 2, "--detail", "off"), 8, 15),
        (("--fps", 5), 22, 15),
    ],
)
def test_an_edit_has_its_sources_frame_rate_by_default(
    options: tuple[object, ...], frames: int, rate: float, tmp_path: Path
) -> None:
    source = write(tmp_path / "source.mp4", [numbered(number) for number in range(20)], rate=30)
    usual = ("--frames", 8, "--steps", 1, "--width", 64, "--height", 48)
    done = run("edit", source, photo_path("coffee.png"), "-o", tmp_path / "moved.mp4", *usual, *options)
    assert done.exit_code == 0, done.stderr
    moved, found = read_video(tmp_path / "moved.mp4")
    assert (len(moved), found) == (frames, rate)
    assert f"{frames} frames of 64x48 pixels, {rate} a second" in done.stdout


@pytest.mark.parametrize("size", [(17_000, 11_000), (12_000, 10_000), (100_000, 60_000)])
def test_a_photo_with_too_many_pixels_gives_a_one_line_error(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_header(*size))
    for arguments in (("animate",), ("edit", write(tmp_path / "a.mp4", [numbered(number) for number in range(20)]))):
        done = run(*arguments, tmp_path / "a.png", "waves", "-o", tmp_path / "out.mp4")
        assert (done.exit_code, done.stdout) == (1, "")
        assert "at most 100,000,000" in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("size", [(6000, 2), (2, 6000), (4000, 1)])
def test_a_photo_that_padding_reduces_to_nothing_gives_a_one_line_error(size: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size, "red").save(tmp_path / "a.png")
    done = run("animate", tmp_path / "a.png", "waves", "-o", tmp_path / "out.mp4", "--fit", "pad", "--steps", 1)
    assert done.exit_code == 1
    assert "vanish" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out.mp4").exists()


def test_animate_writes_a_video_with_the_photos_size_and_detail(tmp_path: Path) -> None:
    video, poster = tmp_path / "out.mp4", tmp_path / "poster.jpg"
    options = ("--poster", poster, "--steps", 1, "--frames", 8, "--frame-rate-factor", 2)
    done = run("animate", photo_path("coffee.png"), "zoom in", "-o", video, *options)
    assert done.exit_code == 0, done.stderr
    assert "15 frames of 600x400 pixels, 16 a second" in done.stdout
    frames, rate = read_video(video)
    assert (frames.shape, rate) == ((15, 400, 600, 3), 16)
    assert Image.open(poster).size == (600, 400)


def test_a_truncated_photo_gives_a_one_line_error(tmp_path: Path) -> None:
    whole, half = Image.open(photo_path("coffee.png")), tmp_path / "half.jpg"
    whole.save(half)
    half.write_bytes(half.read_bytes()[:-5000])
    done = run("animate", half, "zoom in", "-o", tmp_path / "out.mp4")
    assert done.exit_code == 1
    assert "the picture cannot be decoded: image file is truncated" in done.stderr


def test_a_video_too_short_to_edit_gives_a_one_line_error(tmp_path: Path) -> None:
    source, photo = tmp_path / "source.mp4", photo_path("coffee.png")
    assert run("animate", photo, "pan left", "-o", source, "--steps", 1, *SHORT).exit_code == 0
    done = run("edit", source, photo, "-o", tmp_path / "moved.mp4")
    assert done.exit_code == 1
    assert "need a video of 16; this one gave 8" in done.stderr


def test_convert_writes_a_checkpoint_with_the_given_motion_scale(tmp_path: Path) -> None:
    done = run("convert", "tiny", tmp_path / "new", "--bucket-at-zero", 100, "--bucket-per-intensity", -2)
    assert done.exit_code == 0, done.stderr
    card = ModelCard.read(tmp_path / "new")
    assert card.motion_scale.bucket(5) == 90
    source = ModelCard.read(BUILT_IN["tiny"])
    assert card.motion_scale.strong_score == source.motion_scale.strong_score, "the source's own"
    assert {path.suffix for path in (tmp_path / "new" / "unet").iterdir()} == {".json", ".safetensors"}
    again = run("convert", "tiny", tmp_path / "new")
    assert again.exit_code == 1
    assert "not empty" in again.stderr


def test_evaluate_prints_a_table_and_writes_json(tmp_path: Path) -> None:
    cases = tmp_path / "cases.jsonl"
    cases.write_text(f'{{"image": "{photo_path("coffee.png")}", "prompt": "waves"}}\n')
    done = run("evaluate", "--cases", cases, "-o", tmp_path / "figures.json", "--steps", 1)
    assert done.exit_code == 0, done.stderr
    assert "motion_error" in done.stdout
    assert json.loads((tmp_path / "figures.json").read_text())["clips"] == 1
    cases.write_text("{}")
    wrong = run("evaluate", "--cases", cases, "-o", tmp_path / "figures.json")
    assert wrong.exit_code == 1
    assert "cases.jsonl:1" in wrong.stderr


@pytest.mark.parametrize(
    ("output", "reported"),
    [("nowhere/out.mp4", "nowhere does not exist"), ("out.mov", "must end with"), ("there.mp4", "is a folder")],
)
def test_an_unwritable_output_is_reported_before_any_work(tmp_path: Path, output: str, reported: str) -> None:
    (tmp_path / "there.mp4").mkdir()
    photo = photo_path("coffee.png")
    # No such model: whoever loads it first says so instead.
    for command in (("animate", photo, "zoom in"), ("edit", photo, photo)):
        done = run(*command, "-o", tmp_path / output, "--model", "/no/such")
        assert done.exit_code == 1
        assert reported in done.stderr
    done = run("animate", photo, "zoom in", "-o", tmp_path / "a.mp4", "--poster", tmp_path / "no" / "a.jpg")
    assert (done.exit_code, "does not exist" in done.stderr) == (1, True)


def test_an_unwritable_output_of_figures_or_a_model_is_reported_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("evaluate", "--model", "/no/such", "-o", tmp_path / "none" / "figures.json")
    assert (done.exit_code, "does not exist" in done.stderr) == (1, True)
    done = run("preflight", "/no/such", "-o", tmp_path)
    assert (done.exit_code, "is a folder" in done.stderr) == (1, True)
    done = run("render-clips", tmp_path / "file" / "clips")
    assert (done.exit_code, "is a file" in done.stderr) == (1, True)


IS_THERE = pytest.mark.skipif(torch.cuda.is_available(), reason="what is asked for is there")


@pytest.mark.parametrize("device", [pytest.param("cuda", marks=IS_THERE), "cuda:64", "gpu"])
def test_a_missing_device_is_never_replaced_by_the_cpu(tmp_path: Path, device: str) -> None:
    done = run("animate", photo_path("coffee.png"), "zoom in", "-o", tmp_path / "out.mp4", "--device", device)
    assert (done.exit_code, "device" in done.stderr) == (1, True)
    config = TrainConfig.model_validate({"name": "x", "data": {"source": "/no/such"}, "steps": 1})
    with pytest.raises(InvalidParameter, match="device"):
        train(config, tmp_path / "run", device=device)


def test_an_edit_accepts_all_options_of_the_published_script(tmp_path: Path) -> None:
    photo, source, moved = photo_path("coffee.png"), tmp_path / "source.mp4", tmp_path / "moved.mp4"
    noise = ["--noise-cutoff", 0.5, "--noise-level", 900]
    assert run("animate", photo, "pan left", "-o", source, "--steps", 1, *SHORT, *noise).exit_code == 0
    options = ["--source-prompt", "pan left", "--motion-bucket-id", 3, "--noise-refinement", *noise]
    done = run("edit", source, photo, "zoom in", "-o", moved, "--frames", 8, "--steps", 1, "--width", 64, *options)
    assert done.exit_code == 0, done.stderr
    wrong = run("animate", photo, "pan left", "-o", moved, "--noise-cutoff", 2)
    assert (wrong.exit_code, "cutoff" in wrong.stderr) == (1, True)
