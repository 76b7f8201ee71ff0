"""The range of every number that a caller may give, and the refusal of what lies outside."""

from dataclasses import dataclass

from cinemo_core.errors import InvalidParameter

MAX_INTENSITY = 19


@dataclass(frozen=True)
class Range:
    """From `least` to `most`, both included; whole multiples of `multiple` where it is given."""

    least: float
    most: float
    multiple: int | None = None

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most and (self.multiple is None or value % self.multiple == 0)

    def __str__(self) -> str:
        multiples = {None: "", 1: ", whole"}.get(self.multiple, f", a multiple of {self.multiple}")
        return f"from {self.least} to {self.most}{multiples}"


RANGES = {
    "motion_intensity": Range(0, MAX_INTENSITY),
    "seed": Range(0, 2**32 - 1, 1),
    "num_inference_steps": Range(1, 1000, 1),
    "guidance_scale": Range(1, 100),
    "width": Range(16, 2048, 8),
    "height": Range(16, 2048, 8),
    "num_frames": Range(8, 32, 1),
    "clips": Range(1, 16, 1),
    "cache_interval": Range(1, 10, 1),
    "decode_chunk_frames": Range(1, 512, 1),
}


def check_ranges(**values: float) -> None:
    """Raise `InvalidParameter` for the first number out of its range."""
    for name, value in values.items():
        if not RANGES[name].holds(value):
            raise InvalidParameter(f"{name} must be {RANGES[name]}, got {value}")
