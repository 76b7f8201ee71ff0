"""Writes a sprite sheet of a video's frames, for previews and scrubbing. Knows nothing of models."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from cinemo_core.encoding import write_poster
from cinemo_core.media import Frames
from cinemo_spec.marking.statement import SourceType

COLUMNS, ROWS = 4, 4
WIDEST = 320
"""Maximum width of a frame on the sheet in pixels."""


def with_spritesheet(frames: Iterable[Frames], total: int, path: Path, source: SourceType | None) -> Iterator[Frames]:
    """Pass `total` frames through, and write up to 16 of them, evenly spaced and in reading order, as one JPEG."""
    chosen = set(np.linspace(0, total - 1, min(total, COLUMNS * ROWS)).round().astype(int).tolist())
    cells = []
    for number, frame in enumerate(frames):
        if number in chosen:
            cells.append(reduced(frame))
        yield frame
    write_poster(path, arranged(cells), source)


def reduced(frame: Frames) -> Frames:
    """A frame at most `WIDEST` pixels wide."""
    height, width = frame.shape[:2]
    if width <= WIDEST:
        return frame
    size = (WIDEST, max(1, round(height * WIDEST / width)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))


def arranged(cells: list[Frames]) -> Frames:
    """One picture of all cells, row by row; empty cells in the last row are black."""
    blank = [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
    filled = [*cells, *blank]
    rows = [np.concatenate(filled[start : start + COLUMNS], 1) for start in range(0, len(filled), COLUMNS)]
    return np.concatenate(rows)
