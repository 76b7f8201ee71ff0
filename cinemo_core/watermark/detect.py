"""Finds the watermark in frames that were scaled, cropped or re-encoded, without the original frames.

Smooth or strong content is removed from a frame. In the rest, the pattern appears as peaks at multiples of one
frequency, that of the tiles. The frequency and shift that agree best with the pilot are used.
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
    MAX_WAVES,
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

MAX_FRAMES = 24
"""Number of frames to read from the beginning of a video."""
WORKING_SIDE = 320
"""Frames are scaled to the area of a square of this side, in pixels."""
SMALLEST_SIDE = 144
"""Side of a square with the area of the smallest supported video, in pixels."""
LARGEST_CROP = 1.2
"""Largest ratio of the uncropped square's side to the cropped one's."""
LARGEST_PEAK = 2.0
"""Limit relative to the peaks' root mean square; larger peaks are regular textures of the frame itself."""
SHIFTS = 64
"""Number of shifts to try along a tile."""
MIN_SCORE = 6.0
"""Standard deviations above chance. With so many positions tried, unmarked frames reach 5, rarely almost 6."""
BANDS = np.minimum(RADII // 2, 5).astype(int) - 1
"""Groups of frequencies that scaling and encoding affect alike."""


@dataclass(frozen=True)
class Watermark:
    """A watermark that was found.

    Attributes:
        service_id: ID of the service that made the video, 0 to 2**32 - 1.
        score: agreement with the pilot, in standard deviations above chance.
    """

    service_id: int
    score: float


@dataclass(frozen=True)
class Fit:
    """The pilot's best agreement for a tile frequency; peaks are rotated so that agreement is positive and real."""

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
        return find_watermark(decoder.first(MAX_FRAMES))


def find_watermark(frames: Iterable[Frames]) -> Watermark | None:
    """Find the watermark in the first frames `(h, w, 3)` of a video.

    In a moving video, encoders preserve the pattern best in the first frame; in a still one, the average of all frames
    shows it better.

    Raises:
        InvalidVideo: there are no frames.
    """
    textures = list(map(texture, islice(frames, MAX_FRAMES)))
    if not textures:
        raise InvalidVideo("it has no frames")
    together: list[Plane] = [np.stack(textures).mean(0)] if len(textures) > 1 else []
    fits = map(best_fit, (textures[0], *together))
    found = (Watermark(service_id, fit.score) for fit in fits if (service_id := read_message(fit)) is not None)
    return max(found, key=lambda each: each.score, default=None)


def texture(frame: Frames) -> Plane:
    """A frame's luma at the working size, high-pass filtered and with equalized local contrast."""
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
    """Try every possible tile frequency and shift, then the frequencies around the best."""
    spectrum, step = Spectrum.of(rough), frequency_step(rough)
    coarse = max((fit_shift(spectrum.near(each), each) for each in tile_frequencies(rough, step)), key=score_of)
    around = coarse.frequency + np.linspace(-1, 1, 15) * step
    return max((fit_shift(peaks_at(rough, each), each) for each in around), key=score_of)


def tile_frequencies(rough: Plane, step: float) -> Iterator[float]:
    """All tile frequencies that a frame of unknown history may have, in tiles per pixel."""
    side = rough.size**0.5
    largest, smallest = side * LARGEST_CROP * tile_side(SMALLEST_SIDE, SMALLEST_SIDE) / SMALLEST_SIDE, side / TILES
    yield from np.arange(1 / largest, 1 / smallest + step, step)


def frequency_step(rough: Plane) -> float:
    """Largest error of the tile frequency at which the shortest waves are still in phase at the frame's edges."""
    return 0.3 / (MAX_WAVES * max(rough.shape))


@dataclass(frozen=True)
class Spectrum:
    """The spectrum of a frame, zero-padded so finely that no frequency needs interpolation.

    Phases refer to the middle of the frame, where they hardly differ between neighbouring frequencies.
    """

    values: NDArray[np.complex64]
    middle: tuple[float, float]

    @classmethod
    def of(cls, rough: Plane) -> "Spectrum":
        padded = tuple(4 * (1 << (side - 1).bit_length()) for side in rough.shape)
        return cls(fft2(rough, padded), ((rough.shape[0] - 1) / 2, (rough.shape[1] - 1) / 2))

    def near(self, frequency: float) -> Waves:
        """Amplitude and phase of each cosine for this tile frequency."""
        shape = np.array(self.values.shape)
        places = np.rint(FREQUENCIES * frequency * shape).astype(int)
        turn = np.exp(2j * np.pi * (places / shape @ self.middle))
        found: Waves = self.values[places[:, 0] % shape[0], places[:, 1] % shape[1]] * turn
        return found


def peaks_at(rough: Plane, frequency: float) -> Waves:
    """Like `Spectrum.near`, but exact."""
    down, across = (np.arange(side) - (side - 1) / 2 for side in rough.shape)
    rows = np.exp(-2j * np.pi * frequency * np.outer(np.arange(HIGHEST + 1), down))
    columns = np.exp(-2j * np.pi * frequency * np.outer(across, np.arange(-HIGHEST, HIGHEST + 1)))
    found: Waves = (rows @ rough.astype(np.float64) @ columns)[FREQUENCIES[:, 0], FREQUENCIES[:, 1] + HIGHEST]
    return found


def fit_shift(peaks: Waves, frequency: float) -> Fit:
    """Find the shift of the tiles at which the peaks agree best with the pilot."""
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
    """The ID encoded in the peaks, each weighted by how well its band's pilot peaks agree with the pilot."""
    agreement = fit.peaks.real
    known = np.bincount(BANDS[PILOT], agreement[PILOT], BANDS.max() + 1) / np.bincount(BANDS[PILOT])
    trust = np.clip(known, 0.02, 0.97)
    weighted = (trust / (1 - trust**2))[BANDS] * agreement
    signs = np.asarray(np.bincount(BIT_OF[~PILOT], weighted[~PILOT], BITS), np.float64)
    return decode(signs) if fit.score >= MIN_SCORE else None
