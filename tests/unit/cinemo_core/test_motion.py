"""Residuals, the motion score, its buckets and the scales of checkpoints."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cinemo_core import MotionScale, motion_bucket, motion_score
from cinemo_core.residual import compose, split_residual
from cinemo_spec.scale import PUBLISHED_SCALE, TRAINED_SCALE


def test_composing_undoes_splitting() -> None:
    latents = torch.randn(2, 4, 16, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    image_latent, residual = split_residual(latents)
    assert image_latent.shape == (2, 4, 1, 6, 5)
    assert residual.shape == (2, 4, 15, 6, 5)
    torch.testing.assert_close(compose(image_latent, residual), latents)


def test_a_still_clip_scores_one_and_a_faster_one_less() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.float32)
    smooth = sum(np.roll(picture, (dy, dx), (0, 1)) for dy in range(8) for dx in range(8)) / 64
    clips = [np.stack([np.roll(smooth, pixels * f, 1) for f in range(4)]).astype(np.uint8) for pixels in (0, 1, 4)]
    still, slow, fast = map(motion_score, clips)
    assert still == pytest.approx(1.0)
    assert still > slow > fast


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_buckets_are_0_to_19_and_never_decrease_as_motion_grows(one: float, other: float) -> None:
    less, more = motion_bucket(max(one, other)), motion_bucket(min(one, other))
    assert 0 <= less <= more <= 19


def test_buckets_are_uniform_over_the_score() -> None:
    assert [motion_bucket(1 - (bucket + 0.5) / 20) for bucket in range(20)] == list(range(20))
    assert [motion_bucket(1 - 0.6 * (bucket + 0.5) / 20, strong_score=0.4) for bucket in range(20)] == list(range(20))


def test_the_published_scale_is_the_demos_hundred_minus_intensity() -> None:
    assert [PUBLISHED_SCALE.bucket(intensity) for intensity in (0, 1, 19)] == [100, 99, 81]
    assert [TRAINED_SCALE.bucket(intensity) for intensity in (0, 1, 19)] == [0, 1, 19]


def test_a_clips_bucket_is_the_one_that_the_published_demo_sends() -> None:
    scores = (1.0, 0.98, 0.95, 0.90, 0.85, 0.80, 0.5)
    buckets = [PUBLISHED_SCALE.bucket(PUBLISHED_SCALE.intensity_of(score)) for score in scores]
    assert buckets == [100, 98, 95, 90, 85, 81, 81]


def test_a_scale_measures_by_the_score_that_was_strong_in_training() -> None:
    assert [MotionScale(0.0, 1.0, strong).intensity_of(0.4) for strong in (0.0, 0.4)] == [12, 19]


@pytest.mark.parametrize("score", [-0.1, 1.0, float("nan")])
def test_a_strong_score_without_room_for_motion_is_rejected(score: float) -> None:
    with pytest.raises(ValueError, match="strong_score"):
        MotionScale(0.0, 1.0, score)
