from .codec import PatchCodec
from .conversion import convert
from .dct import DCTInit, refine_noise
from .errors import (
    CheckpointError,
    CinemoError,
    InvalidImage,
    InvalidParameter,
    InvalidVideo,
    OutOfMemory,
)
from .media import read_video, sample_frames, write_poster, write_video
from .motion import MotionScale, motion_bucket, motion_score
from .pipeline import CinemoPipeline
from .sampling import invert
from .unet import CinemoUNet

__all__ = [
    "CheckpointError",
    "CinemoError",
    "CinemoPipeline",
    "CinemoUNet",
    "DCTInit",
    "InvalidImage",
    "InvalidParameter",
    "InvalidVideo",
    "MotionScale",
    "OutOfMemory",
    "PatchCodec",
    "convert",
    "invert",
    "motion_bucket",
    "motion_score",
    "read_video",
    "refine_noise",
    "sample_frames",
    "write_poster",
    "write_video",
]
