"""Maps motion scores to buckets, and buckets to the scale of a checkpoint. Pure arithmetic.

Source: arXiv 2407.15642, section 3.3.
"""

from dataclasses import dataclass

BUCKETS = 20


def motion_bucket(score: float, strong_score: float = 0.0) -> int:
    """Bucket of a motion score, uniform from 1 (bucket 0, still) down to `strong_score` (bucket 19 and all beyond)."""
    share = (1 - score) / (1 - strong_score)
    # A score on the border of two buckets belongs to the stronger one, despite rounding.
    return min(max(int(share * BUCKETS + 1e-9), 0), BUCKETS - 1)


@dataclass(frozen=True)
class MotionScale:
    """How a checkpoint was trained to interpret motion buckets.

    Attributes:
        at_zero: bucket id of `motion_intensity` 0, still.
        per_intensity: bucket id increment per step of the intensity, up to 19.
        strong_score: motion score at which intensity 19 begins, 0 or more, below 1.

    Raises:
        ValueError: `strong_score` is out of range.
    """

    at_zero: float
    per_intensity: float
    strong_score: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.strong_score < 1:
            raise ValueError(f"strong_score must be 0 or more and below 1, got {self.strong_score}")

    def intensity_of(self, score: float) -> int:
        """The intensity, 0..19, that a clip of this motion score was trained as."""
        return motion_bucket(score, self.strong_score)

    def bucket(self, intensity: float) -> float:
        """Bucket id of an intensity."""
        return self.at_zero + self.per_intensity * intensity


TRAINED_SCALE = MotionScale(at_zero=0.0, per_intensity=1.0)
"""Scale of checkpoints trained with this code: the bucket is the intensity."""

PUBLISHED_SCALE = MotionScale(at_zero=100.0, per_intensity=-1.0, strong_score=0.8)
"""Scale of the published weights: the bucket is 100 times a clip's mean SSIM; their demo sends `100 - intensity`."""
