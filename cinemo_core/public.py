"""Public names of the library that are defined in `cinemo_spec`; `cinemo_core` loads them lazily from here."""

from cinemo_spec.errors import (
    CheckpointError,
    CinemoError,
    InvalidImage,
    InvalidParameter,
    InvalidVideo,
    NumbersOverflowed,
    OutOfMemory,
)
from cinemo_spec.scale import MotionScale, motion_bucket

__all__ = [
    "CheckpointError",
    "CinemoError",
    "InvalidImage",
    "InvalidParameter",
    "InvalidVideo",
    "MotionScale",
    "NumbersOverflowed",
    "OutOfMemory",
    "motion_bucket",
]
