"""Finds the watermark in frames that were scaled, cropped or encoded again, without the frames as they were.

A frame's own content is removed as far as it is smooth or strong. What the pattern leaves in the rest are peaks at
multiples of one frequency, that of the tiles; whichever frequency and shift agree best with the pilot are taken.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import fft2
from scipy.ndimage import gaussian_filter

from cinemo_core.media import LUMINANCE, Frames, flat_image
from cinemo_core.pictures import open_picture
from cinemo_core.sandbox.decoder import decoder_of
from cinemo_core.watermark.embed import Plane
from cinemo_core.watermark.lattice import (
    FREQUENCIES,
    HIGHEST,
    MOST_WAVES,
    PHASES,
    PILOT,
    RADII,
    TILES,
    Waves,
    tile_side,
)
from cinemo_core.watermark.message import BIT_OF, BITS, decode
from cinemo_spec.errors import InvalidVideo
from cinemo_spec.photo_files import photo_format

MOST_FRAMES = 24
"""From the beginning of a video."""
WORKING_SIDE = 320
"""Side of a square as large as a frame in which the pattern is searched."""
SMALLEST_SIDE = 144
"""The same of the smallest video in which it is."""
LARGEST_CROP = 1.2
"""By how much the side of the square may have been longer before a part was cut off."""
LARGEST_PEAK = 2.0
"""Of the peaks' root mean square; what is larger is a regular texture of the frame's own."""
SHIFTS = 64
"""Along a tile."""
LEAST_SCORE = 6.0
"""Standard deviations of the pilot above chance. Unmarked frames reach 5, rarely nearly 6: so many places are tried."""
BANDS = np.minimum(RADII // 2, 5).astype(int) - 1
"""Frequencies that fare alike when a frame is scaled or encoded."""


@dataclass(frozen=True)
class Watermark:
    """What was found.

    Attributes:
        service_id: of the service that made the video, 0 to 2**32 - 1.
        score: agreement with the pilot, in standard deviations of chance.
    """

    service_id: int
    score: float


@dataclass(frozen=True)
class Fit:
    """How well the pilot fits at best for a frequency of tiles, and each peak, positive as far as it agrees."""

    score: float
    frequency: float
    peaks: Waves


def read_watermark(path: str | Path) -> Watermark | None:
    """Find the watermark in a video or picture.

    Raises:
        InvalidVideo, InvalidImage: the file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        still = photo_format(file.read(64))
    if still and still != "WEBP":
        return find_watermark([np.asarray(flat_image(open_picture(path)))])
    with decoder_of(path) as decoder:
        return find_watermark(decoder.first(MOST_FRAMES))


def find_watermark(frames: Iterable[Frames]) -> Watermark | None:
    """Find the watermark in the first frames `(h, w, 3)` of a video.

    Of a video that moves, an encoder keeps the pattern in the first frame best; of one that stands still, all together
    show more of it.

    Raises:
        InvalidVideo: there are no frames.
    """
    textures = list(map(texture, islice(frames, MOST_FRAMES)))
    if not textures:
        raise InvalidVideo("it has no frames")
    together: list[Plane] = [np.stack(textures).mean(0)] if len(textures) > 1 else []
    fits = map(best_fit, (textures[0], *together))
    found = (Watermark(service_id, fit.score) for fit in fits if (service_id := read_message(fit)) is not None)
    return max(found, key=lambda each: each.score, default=None)


def texture(frame: Frames) -> Plane:
    """A frame's luma at the working size, with what is smooth taken away and all parts of it about as strong."""
    height, width = frame.shape[:2]
    scale = max(1.0, (height * width) ** 0.5 / WORKING_SIDE)
    size = (round(width / scale), round(height / scale))
    luma = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX)) @ LUMINANCE
    wave = max(1.0, (size[0] * size[1]) ** 0.5 / TILES / 10)
    rough = luma - gaussian_filter(luma, wave)
    strength = np.sqrt(gaussian_filter(rough * rough, 2 * wave))
    evened: Plane = np.clip(rough / (strength + 1), -2.5, 2.5)
    return evened


def best_fit(rough: Plane) -> Fit:
    """Try every frequency that tiles may have by now, and every shift; then the frequencies around the best."""
    spectrum, step = Spectrum.of(rough), frequency_step(rough)
    coarse = max((fit_shift(spectrum.near(each), each) for each in tile_frequencies(rough, step)), key=score_of)
    around = coarse.frequency + np.linspace(-1, 1, 15) * step
    return max((fit_shift(peaks_at(rough, each), each) for each in around), key=score_of)


def tile_frequencies(rough: Plane, step: float) -> Iterator[float]:
    """Every frequency that tiles may have in a frame of unknown origin, in tiles per pixel."""
    side = rough.size**0.5
    largest, smallest = side * LARGEST_CROP * tile_side(SMALLEST_SIDE, SMALLEST_SIDE) / SMALLEST_SIDE, side / TILES
    yield from np.arange(1 / largest, 1 / smallest + step, step)


def frequency_step(rough: Plane) -> float:
    """By how much the tiles' frequency may be wrong before the shortest waves are out of step at the frame's edges."""
    return 0.3 / (MOST_WAVES * max(rough.shape))


@dataclass(frozen=True)
class Spectrum:
    """Of a frame padded with zeros, so finely that the nearest of its frequencies is near enough.

    Phases are those at the middle of the frame: from one frequency to the next, they hardly differ.
    """

    values: NDArray[np.complex64]
    middle: tuple[float, float]

    @classmethod
    def of(cls, rough: Plane) -> "Spectrum":
        padded = tuple(4 * (1 << (side - 1).bit_length()) for side in rough.shape)
        return cls(fft2(rough, padded), ((rough.shape[0] - 1) / 2, (rough.shape[1] - 1) / 2))

    def near(self, frequency: float) -> Waves:
        """Amplitude and phase of each cosine of tiles of this frequency."""
        shape = np.array(self.values.shape)
        places = np.rint(FREQUENCIES * frequency * shape).astype(int)
        turn = np.exp(2j * np.pi * (places / shape @ self.middle))
        found: Waves = self.values[places[:, 0] % shape[0], places[:, 1] % shape[1]] * turn
        return found


def peaks_at(rough: Plane, frequency: float) -> Waves:
    """The same, exactly."""
    down, across = (np.arange(side) - (side - 1) / 2 for side in rough.shape)
    rows = np.exp(-2j * np.pi * frequency * np.outer(np.arange(HIGHEST + 1), down))
    columns = np.exp(-2j * np.pi * frequency * np.outer(across, np.arange(-HIGHEST, HIGHEST + 1)))
    found: Waves = (rows @ rough.astype(np.float64) @ columns)[FREQUENCIES[:, 0], FREQUENCIES[:, 1] + HIGHEST]
    return found


def fit_shift(peaks: Waves, frequency: float) -> Fit:
    """The shift of the tiles at which the peaks agree best with the pilot."""
    whitened = peaks / band_strength(peaks)
    whitened *= np.minimum(1, LARGEST_PEAK / np.maximum(np.abs(whitened), 1e-9))
    pilot = whitened[PILOT] * np.exp(-1j * PHASES[PILOT])
    grid = np.zeros((SHIFTS, SHIFTS), complex)
    grid[FREQUENCIES[PILOT, 0] % SHIFTS, FREQUENCIES[PILOT, 1] % SHIFTS] = pilot
    agreement = np.fft.ifft2(grid, norm="forward").real
    place = np.unravel_index(agreement.argmax(), agreement.shape)
    chance = np.sqrt((np.abs(pilot) ** 2).sum() / 2) + 1e-9
    turn = np.exp(2j * np.pi * (FREQUENCIES @ place) / SHIFTS)
    return Fit(float(agreement[place] / chance), frequency, whitened * turn * np.exp(-1j * PHASES))


def band_strength(peaks: Waves) -> NDArray[np.float64]:
    """Root mean square of the peaks of each cosine's band."""
    squares = np.bincount(BANDS, np.abs(peaks) ** 2) / np.maximum(np.bincount(BANDS), 1)
    strength: NDArray[np.float64] = np.sqrt(squares)[BANDS] + 1e-9
    return strength


def score_of(fit: Fit) -> float:
    return fit.score


def read_message(fit: Fit) -> int | None:
    """The ID that the peaks carry, each trusted as far as the pilot's peaks of its band agree with the pilot."""
    agreement = fit.peaks.real
    known = np.bincount(BANDS[PILOT], agreement[PILOT], BANDS.max() + 1) / np.bincount(BANDS[PILOT])
    trust = np.clip(known, 0.02, 0.97)
    weighted = (trust / (1 - trust**2))[BANDS] * agreement
    signs = np.asarray(np.bincount(BIT_OF[~PILOT], weighted[~PILOT], BITS), np.float64)
    return decode(signs) if fit.score >= LEAST_SCORE else None
