"""Figures of clips and distributions with known results."""

import numpy as np
import pytest

from cinemo_core import InvalidParameter
from cinemo_core.media import Frames
from cinemo_core.metrics import frechet_distance, inception_score, input_consistency, motion_smoothness


def pan(step: int, frames: int = 8) -> Frames:
    """A texture that moves evenly to the side."""
    texture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return np.stack([np.roll(texture, step * index, axis=1) for index in range(frames)])


def test_moving_content_keeps_its_colours_and_fading_or_noisy_content_does_not() -> None:
    frames = pan(3)
    faded = (frames * np.linspace(1, 0.3, len(frames))[:, None, None, None]).astype(np.uint8)
    grain = np.random.default_rng(1).normal(0, 40, frames.shape)
    grained = np.concatenate([frames[:1], (frames + grain)[1:].clip(0, 255).astype(np.uint8)])
    assert input_consistency(frames) == pytest.approx(1)
    assert input_consistency(faded) < 0.6
    assert input_consistency(grained) < 0.9


def test_an_even_pan_is_smooth_and_a_cut_is_not() -> None:
    even, cut = pan(2), pan(2)
    cut[4:] = 255 - cut[4:]
    assert motion_smoothness(even) == pytest.approx(1, abs=0.05)
    assert motion_smoothness(cut) < motion_smoothness(even)
    slow = np.stack([np.full((8, 8, 3), index, np.uint8) for index in range(8)])
    slow[4:] += 70
    assert motion_smoothness(slow) == pytest.approx(1 / 71)


def test_a_still_clip_is_smooth() -> None:
    assert motion_smoothness(pan(0)) == 1


def test_the_distance_between_two_gaussians_matches_the_formula() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(0, 1, (200_000, 2)) * (1, 2) + (0, 0)
    other = rng.normal(0, 1, (200_000, 2)) * (3, 2) + (1, -2)
    # Means (1, -2) apart; standard deviations 1 and 3, 2 and 2.
    assert frechet_distance(one, other) == pytest.approx(1 + 4 + (3 - 1) ** 2, rel=0.02)


def test_equal_features_have_no_distance_even_if_they_are_few() -> None:
    few = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(few, few + 1) == pytest.approx(64, rel=1e-4)


@pytest.mark.parametrize(("one", "other"), [((1, 4), (5, 4)), ((5, 4), (5, 3)), ((5,), (5,))])
def test_features_that_cannot_be_compared_are_rejected(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    with pytest.raises(InvalidParameter, match="features"):
        frechet_distance(np.zeros(one), np.zeros(other))


def test_the_inception_score_ranges_from_one_to_the_number_of_classes() -> None:
    assert inception_score(np.full((10, 4), 0.25)) == pytest.approx(1)
    assert inception_score(np.eye(4)) == pytest.approx(4)
    assert inception_score(np.eye(4)[[0, 0, 0]]) == pytest.approx(1)


def test_invalid_probabilities_are_rejected() -> None:
    with pytest.raises(InvalidParameter, match="probabilities"):
        inception_score(np.ones((3, 4)))
