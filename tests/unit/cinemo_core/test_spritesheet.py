"""The sprite sheet of a video: which frames it shows, and where."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cinemo_core.media import Frames
from cinemo_core.spritesheet import with_spritesheet


def shades(count: int, width: int = 40, height: int = 20) -> list[Frames]:
    """Frames whose grey encodes their number."""
    return [np.full((height, width, 3), 5 * number, np.uint8) for number in range(count)]


def numbers_on(path: Path, width: int, height: int) -> list[int]:
    sheet = np.asarray(Image.open(path).convert("L"))
    middles = sheet[height // 2 :: height, width // 2 :: width]
    return [round(middle / 5) for middle in middles.flatten().tolist()]


@pytest.mark.parametrize(
    ("count", "shown"),
    [(46, [*range(0, 46, 3)]), (16, [*range(16)]), (6, [0, 1, 2, 3, 4, 5, 0, 0]), (1, [0, 0, 0, 0])],
)
def test_up_to_sixteen_frames_are_shown_in_order_with_the_first_and_the_last(
    count: int, shown: list[int], tmp_path: Path
) -> None:
    frames = shades(count)
    passed = list(with_spritesheet(frames, count, tmp_path / "sheet.jpg", None))
    assert all(one is other for one, other in zip(passed, frames, strict=True))
    assert numbers_on(tmp_path / "sheet.jpg", 40, 20) == shown


def test_large_frames_are_reduced(tmp_path: Path) -> None:
    list(with_spritesheet(shades(16, 1280, 720), 16, tmp_path / "sheet.jpg", None))
    assert Image.open(tmp_path / "sheet.jpg").size == (4 * 320, 4 * 180)
