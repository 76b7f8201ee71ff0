from .clips import load_clip, read_video, sample_frames
from .codec import PatchCodec
from .conversion import convert
from .dct import DCTInit, refine_noise
from .encoding import write_poster, write_video
from .film import Film
from .motion import motion_score
from .pipeline import CinemoPipeline
from .public import (
    CheckpointError,
    CinemoError,
    InvalidImage,
    InvalidParameter,
    InvalidVideo,
    MotionScale,
    NumbersOverflowed,
    OutOfMemory,
    motion_bucket,
)
from .sampling import Conditions, denoise, invert
from .unet import CinemoUNet

__all__ = [
    "CheckpointError",
    "CinemoError",
    "CinemoPipeline",
    "CinemoUNet",
    "Conditions",
    "DCTInit",
    "Film",
    "InvalidImage",
    "InvalidParameter",
    "InvalidVideo",
    "MotionScale",
    "NumbersOverflowed",
    "OutOfMemory",
    "PatchCodec",
    "convert",
    "denoise",
    "invert",
    "load_clip",
    "motion_bucket",
    "motion_score",
    "read_video",
    "refine_noise",
    "sample_frames",
    "write_poster",
    "write_video",
]
