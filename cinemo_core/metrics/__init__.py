"""Metrics for comparing checkpoints: of one clip, of many clips against real ones, of a whole model."""

from cinemo_core.metrics.clip import input_consistency, motion_smoothness
from cinemo_core.metrics.distributions import reference_clips
from cinemo_core.metrics.evaluate import Case, Evaluation, default_cases, evaluate, read_cases
from cinemo_core.metrics.extractors import Extractors, clip_similarity, picture_network, video_network
from cinemo_core.metrics.frechet import frechet_distance, inception_score

__all__ = [
    "Case",
    "Evaluation",
    "Extractors",
    "clip_similarity",
    "default_cases",
    "evaluate",
    "frechet_distance",
    "inception_score",
    "input_consistency",
    "motion_smoothness",
    "picture_network",
    "read_cases",
    "reference_clips",
    "video_network",
]
