"""Files state that a model made them, where FFmpeg and Pillow, which know nothing of us, look for it."""

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cinemo_core import read_video, write_poster, write_video
from cinemo_core.encoding import FORMATS
from cinemo_core.media import Frames
from cinemo_spec.marking.files import source_types
from cinemo_spec.marking.statement import SourceType, xmp
from deploy.cli import app

FRAMES = np.random.default_rng(1).integers(0, 256, (9, 48, 64, 3), np.uint8)


def written(path: Path, source: SourceType | None, frames: Frames = FRAMES) -> Path:
    write_video(path, frames, source=source)
    return path


def xmp_of(path: Path) -> str:
    """The XMP that Pillow finds, which parses the file's structure."""
    with Image.open(path) as picture:
        return bytes(picture.info["xmp"]).decode()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("source", SourceType)
def test_every_format_states_its_source_type_and_plays_as_before(
    tmp_path: Path, suffix: str, source: SourceType
) -> None:
    plain, marked = written(tmp_path / f"plain{suffix}", None), written(tmp_path / f"marked{suffix}", source)
    assert (source_types(plain), source_types(marked)) == ([], [source])
    (before, rate), (after, same_rate) = read_video(plain), read_video(marked)
    assert np.array_equal(before, after)
    assert rate == same_rate
    assert marked.stat().st_size - plain.stat().st_size < 1500


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_container_states_it_in_its_tags(tmp_path: Path, suffix: str) -> None:
    with av.open(str(written(tmp_path / f"a{suffix}", SourceType.CREATED))) as container:
        reported = {name.lower(): text for name, text in container.metadata.items()}
    assert reported["comment"].endswith(f"({SourceType.CREATED.url})")


def test_a_webp_states_it_in_xmp(tmp_path: Path) -> None:
    assert SourceType.EDITED.url in xmp_of(written(tmp_path / "a.webp", SourceType.EDITED))


def test_a_gif_states_it_in_an_extension_before_its_frames(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gif", SourceType.EDITED)
    with Image.open(path) as picture:
        name, at = picture.info["extension"]
        assert (name, getattr(picture, "n_frames", 1), picture.info["loop"]) == (b"XMP DataXMP", len(FRAMES), 0)
    assert path.read_bytes()[at:].startswith(xmp(SourceType.EDITED))


def test_an_mp4_has_xmp_in_its_last_box_and_keeps_its_index_first(tmp_path: Path) -> None:
    data = written(tmp_path / "a.mp4", SourceType.CREATED).read_bytes()
    boxes, at = [], 0
    while at < len(data):
        boxes.append((data[at + 4 : at + 8].decode(), at))
        at += int.from_bytes(data[at : at + 4], "big")
    assert at == len(data)
    names = [name for name, _ in boxes]
    assert names[-1] == "uuid"
    assert names.index("moov") < names.index("mdat")
    assert data[boxes[-1][1] + 8 :].startswith(bytes.fromhex("be7acfcb97a942e89c71999491e3afac"))


def test_a_webp_of_one_frame_is_marked_too(tmp_path: Path) -> None:
    path = written(tmp_path / "a.webp", SourceType.CREATED, FRAMES[:1])
    assert SourceType.CREATED.url in xmp_of(path)
    with Image.open(path) as picture:
        picture.load()
        assert picture.size == (64, 48)


def test_a_poster_is_marked_as_its_video_is(tmp_path: Path) -> None:
    path = tmp_path / "poster.jpg"
    write_poster(path, FRAMES[0], SourceType.CREATED)
    assert SourceType.CREATED.url in xmp_of(path)
    write_poster(path, FRAMES[0])
    assert source_types(path) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_equal_frames_give_equal_marked_files(tmp_path: Path, suffix: str) -> None:
    one, other = (written(tmp_path / f"{name}{suffix}", SourceType.CREATED) for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_verify_reports_what_a_file_states_also_by_its_exit_code(tmp_path: Path) -> None:
    marked = CliRunner().invoke(app, ["verify", str(written(tmp_path / "a.mp4", SourceType.EDITED))])
    assert (marked.exit_code, "edited with a generative model" in marked.output) == (0, True)
    assert "proves nothing" in marked.output
    plain = CliRunner().invoke(app, ["verify", str(written(tmp_path / "b.mp4", None))])
    assert (plain.exit_code, "not marked" in plain.output) == (2, True)
    (tmp_path / "empty").touch()
    assert CliRunner().invoke(app, ["verify", str(tmp_path / "empty")]).exit_code == 2
