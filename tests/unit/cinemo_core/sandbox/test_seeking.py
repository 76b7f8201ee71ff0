"""Every clip has the requested frames, whatever the file's keyframes and timestamps."""

from pathlib import Path

import numpy as np
import pytest

from cinemo_core.clips import load_clip
from cinemo_core.sandbox.decoder import Decoder, FramesMissing
from cinemo_core.sandbox.reading import Cut, Fitted
from cinemo_core.training.decode import decode_clip
from cinemo_spec.errors import InvalidVideo
from cinemo_spec.training import DataConfig
from tests.video_files import cut_without_decoding, number_of, numbered, with_open_groups, write

COUNT = 60


def numbers(decoder: Decoder, path: Path, start: int, interval: int = 2, count: int = 8) -> tuple[int, list[int]]:
    """The number of available frames, and the numbers of a clip's frames."""
    said = []

    def choose(available: int) -> Cut:
        said.append(available)
        return Cut(start, interval)

    frames = decoder.cut(path.read_bytes(), Fitted(count, 64, 48), choose)
    return said[0], [number_of(frame) for frame in frames]


def film(path: Path, codec: str = "libx264", count: int = COUNT, **options: object) -> Path:
    return write(path, [numbered(number) for number in range(count)], codec, **options)  # type: ignore[arg-type]


def fragmented(folder: Path) -> Path:
    container = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    return film(folder / "a.mp4", keyframe_every=50, b_frames=2, container=container)


FINE = {"b": "20000000"}
FILES = {
    "HEVC of open groups": lambda folder: with_open_groups(folder / "a.mp4"),
    "HEVC of open groups in Matroska": lambda folder: with_open_groups(folder / "a.mkv"),
    "fragmented, few keyframes": fragmented,
    "XviD with B-frames in AVI": lambda folder: film(folder / "a.avi", "mpeg4", b_frames=2, options=FINE),
    "H.264 with B-frames in AVI": lambda folder: film(folder / "a.avi", b_frames=3),
    "H.264 of open groups": lambda folder: film(
        folder / "a.mp4", b_frames=3, options={"x264-params": "open-gop=1:keyint=12:min-keyint=12:scenecut=0"}
    ),
    "MPEG-2 of open groups in Matroska": lambda folder: film(folder / "a.mkv", "mpeg2video", b_frames=2, options=FINE),
    "VP9": lambda folder: film(folder / "a.webm", "libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
    "Motion JPEG in AVI": lambda folder: film(folder / "a.avi", "mjpeg", pixels="yuvj420p"),
}


@pytest.mark.parametrize("name", FILES)
def test_each_clip_contains_the_requested_frames(name: str, decoder: Decoder, tmp_path: Path) -> None:
    path = FILES[name](tmp_path)
    for start in (0, 5, 11, 12, 13, 23, 30, 44, 45):
        available, found = numbers(decoder, path, start)
        assert available == COUNT
        assert np.abs(np.array(found) - np.arange(start, start + 16, 2)).max() <= 1, (start, found)


@pytest.mark.parametrize("b_frames", [0, 2])
def test_frames_excluded_by_an_edit_list_are_not_counted(b_frames: int, decoder: Decoder, tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", keyframe_every=30, b_frames=b_frames)
    path = cut_without_decoding(whole, tmp_path / "cut.mp4", 40 / 30)
    available, found = numbers(decoder, path, 2, 1, 8)
    assert available == 20
    assert np.abs(np.array(found) - np.arange(42, 50)).max() <= 1
    assert number_of(load_clip(path, 8)[0]) == 40
    assert numbers(decoder, path, 12, 1, 8)[1][-1] in (58, 59)


def damaged(path: Path, first: float, last: float) -> bytes:
    """The file with a part of its data overwritten, given as shares of the whole."""
    data = bytearray(path.read_bytes())
    start, end = int(len(data) * first), int(len(data) * last)
    data[start:end] = b"\x55" * (end - start)
    return bytes(data)


def noisy(path: Path) -> Path:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (96, 128, 3), np.uint8) for _ in range(COUNT)]
    return write(path, pictures, options={"x264-params": "keyint=1"})


CONFIG = DataConfig(source="none", frames=8, width=64, height=48, min_interval=1, max_interval=1)


def test_a_file_is_broken_only_if_none_of_its_clips_decodes(decoder: Decoder, tmp_path: Path) -> None:
    data = damaged(noisy(tmp_path / "a.mp4"), 0.3, 0.9)
    failed = 0
    for start in range(0, COUNT - 8, 4):
        try:
            decoder.cut(data, Fitted(8, 64, 48), lambda _, start=start: Cut(start, 1))  # type: ignore[misc]
        except FramesMissing:
            failed += 1
    assert failed > 3, "the damage is not seen at all"
    for seed in range(12):
        assert decode_clip(decoder, data, CONFIG, np.random.default_rng(seed)).shape == (8, 48, 64, 3)
    with pytest.raises(InvalidVideo):
        decode_clip(decoder, damaged(tmp_path / "a.mp4", 0.05, 0.95), CONFIG, np.random.default_rng(0))


def test_a_clip_of_an_intact_file_is_the_one_drawn_first(decoder: Decoder, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4")
    again = [decode_clip(decoder, path.read_bytes(), CONFIG, np.random.default_rng(3)) for _ in range(2)]
    assert np.array_equal(again[0], again[1])
