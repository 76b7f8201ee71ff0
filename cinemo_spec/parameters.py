"""The range of every number that a caller may give, and the refusal of what lies outside."""

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import get_args

from cinemo_spec.errors import InvalidParameter
from cinemo_spec.formats import LEAST_FPS, LEAST_SIDE, MODEL_MULTIPLE, MOST_FPS, MOST_SIDE, VIDEO_MULTIPLE, Detail

MAX_INTENSITY = 19


@dataclass(frozen=True)
class Range:
    """From `least` to `most`, both included; where `multiple` is given, integers alone, and multiples of it."""

    least: float
    most: float
    multiple: int | None = None

    def holds(self, value: float) -> bool:
        whole = self.multiple is None or (isinstance(value, Integral) and value % self.multiple == 0)
        return whole and self.least <= value <= self.most

    def __str__(self) -> str:
        multiples = {None: "", 1: ", whole"}.get(self.multiple, f", a multiple of {self.multiple}")
        return f"from {self.least} to {self.most}{multiples}"


RANGES = {
    "motion_intensity": Range(0, MAX_INTENSITY),
    "motion_bucket_id": Range(0, 1000),
    "seed": Range(0, 2**32 - 1, 1),
    # DDIM strides over 1000 timesteps in whole numbers: with more steps it would begin amid the noise, or past its end.
    "num_inference_steps": Range(1, 500, 1),
    "guidance_scale": Range(1, 100),
    "width": Range(LEAST_SIDE, MOST_SIDE, VIDEO_MULTIPLE),
    "height": Range(LEAST_SIDE, MOST_SIDE, VIDEO_MULTIPLE),
    "frame_rate_factor": Range(1, 3, 1),
    "num_frames": Range(8, 32, 1),
    "clips": Range(1, 16, 1),
    "cache_interval": Range(1, 10, 1),
    "decode_chunk_frames": Range(1, 512, 1),
    "cutoff": Range(0, 1),
    "noise_level": Range(0, 999, 1),
    "frame_interval": Range(1, 100, 1),
    "fps": Range(LEAST_FPS, MOST_FPS),
}


MODEL_SIDE = Range(LEAST_SIDE, MOST_SIDE, MODEL_MULTIPLE)
"""Of what the model makes by itself."""


def check_ranges(**values: float) -> None:
    """Raise `InvalidParameter` for the first number out of its range."""
    for name, value in values.items():
        check_range(name, value, RANGES[name])


def check_range(name: str, value: float, allowed: Range) -> None:
    """Raise `InvalidParameter` where a number is out of its range, or is none, as a list of them."""
    if not isinstance(value, Real):
        raise InvalidParameter(f"{name} must be one number, {allowed}, got {value!r}; of several call once for each")
    if not allowed.holds(value):
        raise InvalidParameter(f"{name} must be {allowed}, got {value}")


def check_sides(detail: Detail, width: float, height: float) -> None:
    """Raise `InvalidParameter` where a video cannot have these sides."""
    check_word("detail", detail, get_args(Detail))
    for name, side in (("width", width), ("height", height)):
        check_range(name, side, MODEL_SIDE if detail == "off" else RANGES[name])


def check_factor(detail: Detail, frame_rate_factor: int) -> None:
    """Raise `InvalidParameter` where a video cannot have so many times the model's frames."""
    check_ranges(frame_rate_factor=frame_rate_factor)
    if detail == "off" and frame_rate_factor > 1:
        raise InvalidParameter(f"frame_rate_factor must be 1 where detail is off, got {frame_rate_factor}")


def check_first_frame(detail: Detail, first_frame: str) -> None:
    """Raise `InvalidParameter` where a video cannot begin so: in the photo's detail its first frame is the photo."""
    check_word("first_frame", first_frame, ("photo", "decoded"))
    if detail == "photo" and first_frame != "photo":
        raise InvalidParameter("first_frame decoded needs detail off")


def check_word(name: str, word: str, known: Iterable[str]) -> None:
    """Raise `InvalidParameter` where a word is none of those that are known."""
    known = tuple(known)
    if word not in known:
        raise InvalidParameter(f"{name} must be {' or '.join(known)}, got {word}")
