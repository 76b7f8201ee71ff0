"""The Cinemo model library: image animation by motion residual diffusion. Usable alone, without any service."""

from cinemo_core.codec import PatchCodec
from cinemo_core.convert import convert
from cinemo_core.dct import DCTInit, refine_noise
from cinemo_core.errors import (
    CheckpointError,
    CinemoError,
    InvalidImage,
    InvalidParameter,
    InvalidVideo,
    OutOfMemory,
)
from cinemo_core.media import read_video, sample_frames, write_poster, write_video
from cinemo_core.motion import MotionScale, motion_bucket, motion_score
from cinemo_core.pipeline import CinemoPipeline
from cinemo_core.sampling import invert
from cinemo_core.unet import CinemoUNet

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
