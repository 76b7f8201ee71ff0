"""The library's public names that the service knows, too; `cinemo_core` loads its names lazily from its own modules."""

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
