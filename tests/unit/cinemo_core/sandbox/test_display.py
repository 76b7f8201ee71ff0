"""Videos are read as players show them: upright, with square pixels, deinterlaced, in sRGB."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cinemo_core.clips import load_clip, read_video
from cinemo_core.media import Frames
from cinemo_core.sandbox.decoder import Decoder
from cinemo_core.sandbox.reading import Cut, Fitted
from tests.colours import BT2020, P3, Pixel, Space, written_in
from tests.video_files import HLG, PQ, hdr, wide, write

WIDTH, HEIGHT = 128, 96


def corner(width: int = WIDTH, height: int = HEIGHT) -> Frames:
    """White in its upper left eighth, grey on the right, black elsewhere: different in every orientation."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 4] = 255
    picture[: height // 2, width // 4 : width // 2] = 128
    return picture


def cut_of(decoder: Decoder, path: Path, width: int, height: int, count: int = 4) -> Frames:
    return decoder.cut(path.read_bytes(), Fitted(count, width, height), lambda available: Cut(3, 2))


TURNS = {
    "90": ((90.0, False, False), lambda picture: np.rot90(picture, 1)),
    "180": ((180.0, False, False), lambda picture: np.rot90(picture, 2)),
    "270": ((270.0, False, False), lambda picture: np.rot90(picture, 3)),
    "mirrored": ((0.0, True, False), lambda picture: picture[:, ::-1]),
    "upside down": ((0.0, False, True), lambda picture: picture[::-1]),
}


@pytest.mark.parametrize("name", TURNS)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_rotated_video_is_turned_upright(name: str, suffix: str, decoder: Decoder, tmp_path: Path) -> None:
    turn, shown = TURNS[name]
    picture = corner()
    path = write(tmp_path / f"a{suffix}", [picture] * 20, turn=turn)
    wanted = np.ascontiguousarray(shown(picture)).astype(int)
    for frame in load_clip(path, 8):
        assert frame.shape == wanted.shape
        assert np.abs(frame - wanted).mean() < 4
    height, width = wanted.shape[0] // 2, wanted.shape[1] // 2
    for frame in cut_of(decoder, path, width, height):
        assert frame.shape == (height, width, 3)
        assert np.abs(frame - wanted[::2, ::2]).mean() < 8


def test_the_motion_of_a_portrait_video_follows_its_own_axis(tmp_path: Path) -> None:
    scene = (
        np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, WIDTH // 8 + 5, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    )
    lying = [scene[:, 2 * number : 2 * number + WIDTH] for number in range(16)]
    # Turned by a quarter, what moved to the left moves down or up, never to a side.
    frames = load_clip(write(tmp_path / "a.mp4", lying, turn=(90.0, False, False)), 16).astype(int)
    assert frames.shape[1:] == (WIDTH, HEIGHT, 3)
    down, aside = np.abs(frames[4][8:] - frames[0][:-8]).mean(), np.abs(frames[4][:, 8:] - frames[0][:, :-8]).mean()
    assert down < aside / 2


@pytest.mark.parametrize("shape", [Fraction(2), Fraction(16, 11), Fraction(1, 2)])
def test_non_square_pixels_are_made_square(shape: Fraction, decoder: Decoder, tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [corner()] * 20, pixel_shape=shape)
    frame = load_clip(path, 8)[0]
    assert frame.shape == (HEIGHT, round(WIDTH * shape), 3)
    assert frame[10, round(WIDTH * shape / 8)].min() > 240
    height, width = HEIGHT // 2, round(WIDTH * shape / 2)
    wanted = frame[::2, ::2][:height, :width].astype(int)
    assert np.abs(cut_of(decoder, path, width, height)[0] - wanted).mean() < 8


def test_a_rotated_video_with_wide_pixels_is_tall(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [corner()] * 20, pixel_shape=Fraction(2), turn=(90.0, False, False))
    assert load_clip(path, 8)[0].shape == (2 * WIDTH, HEIGHT, 3)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10le", "yuv422p"])
def test_an_interlaced_video_is_deinterlaced(pixels: str, tmp_path: Path) -> None:
    pictures = []
    for number in range(20):
        picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
        picture[0::2, 4 * number : 4 * number + 40] = 220
        picture[1::2, 4 * number + 16 : 4 * number + 56] = 220
        pictures.append(picture)
    options = {"x264-params": "tff=1", "crf": "4"}
    path = write(tmp_path / "a.mp4", pictures, pixels=pixels, options=options)
    for frame in load_clip(path, 8).astype(int):
        assert np.abs(frame[1:] - frame[:-1]).mean() < 4
        assert frame.max() > 200
    progressive = write(tmp_path / "b.mp4", pictures, pixels=pixels, options={"crf": "4"})
    assert np.abs(np.diff(load_clip(progressive, 8)[0].astype(int), axis=0)).mean() > 30


@pytest.mark.parametrize("transfer", [HLG, PQ], ids=["HLG", "PQ"])
@pytest.mark.parametrize("color", [(200, 60, 40), (128, 128, 128), (20, 20, 20), (40, 160, 60), (30, 60, 190)])
def test_hdr_is_converted_to_srgb(transfer: int, color: Pixel, decoder: Decoder, tmp_path: Path) -> None:
    path = hdr(tmp_path / "a.mov", color, transfer)
    for frames in (load_clip(path, 8), cut_of(decoder, path, 64, 48), read_video(path)[0]):
        assert np.abs(frames.astype(int) - color).max() <= 5


@pytest.mark.parametrize("transfer", [HLG, PQ], ids=["HLG", "PQ"])
def test_hdr_white_is_nearly_white_and_highlights_are_brighter(transfer: int, tmp_path: Path) -> None:
    shades = [load_clip(hdr(tmp_path / f"{shade}.mov", (shade,) * 3, transfer), 8).mean() for shade in (200, 230, 255)]
    assert shades[0] < shades[1] < shades[2]
    assert 240 < shades[2] < 255


@pytest.mark.parametrize(("space", "primaries"), [(BT2020, 9), (P3, 12)], ids=["BT.2020", "P3"])
def test_a_wide_gamut_without_hdr_is_converted_to_srgb(space: Space, primaries: int, tmp_path: Path) -> None:
    color = (200, 60, 40)
    path = wide(tmp_path / "a.mp4", written_in(color, space), primaries)
    assert np.abs(load_clip(path, 8).astype(int) - color).max() <= 4
    grey = wide(tmp_path / "b.mp4", (90, 90, 90), primaries)
    assert np.abs(load_clip(grey, 8).astype(int) - 90).max() <= 2
