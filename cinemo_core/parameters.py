"""The range of every number that a caller may give, and the refusal of what lies outside."""

from dataclasses import dataclass
from numbers import Integral

from cinemo_core.errors import InvalidParameter

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
    "width": Range(16, 2048, 8),
    "height": Range(16, 2048, 8),
    "num_frames": Range(8, 32, 1),
    "clips": Range(1, 16, 1),
    "cache_interval": Range(1, 10, 1),
    "decode_chunk_frames": Range(1, 512, 1),
    "cutoff": Range(0, 1),
    "noise_level": Range(0, 999, 1),
    "frame_interval": Range(1, 100, 1),
    "fps": Range(1, 100),
}


def check_ranges(**values: float) -> None:
    """Raise `InvalidParameter` for the first number out of its range."""
    for name, value in values.items():
        if not RANGES[name].holds(value):
            raise InvalidParameter(f"{name} must be {RANGES[name]}, got {value}")
