"""DCTInit: the published numbers in float64, and the properties of the transform."""

from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cinemo_core import DCTInit, InvalidParameter, refine_noise
from cinemo_core.dct import dct3, low_pass_mask
from cinemo_core.training.initial import make_scheduler
from tests.goldens import relative_error


def doubles(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


@pytest.mark.parametrize(
    ("key", "seeds", "size", "cutoff", "noise_level"),
    [("dctinit_a", (21, 22), (40, 64), 0.23, 975), ("dctinit_b", (23, 24), (20, 32), 0.5, 900)],
)
def test_refined_noise_agrees_with_the_published_code(
    golden: dict[str, Tensor], key: str, seeds: tuple[int, int], size: tuple[int, int], cutoff: float, noise_level: int
) -> None:
    latent, noise = doubles(seeds[0], 1, 4, 1, *size), doubles(seeds[1], 1, 4, 15, *size)
    refined = refine_noise(noise, latent, make_scheduler("epsilon"), DCTInit(cutoff, noise_level))
    assert relative_error(refined, golden[key]) < 1e-10


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_the_transform_is_orthonormal_and_equals_scipys(frames: int, height: int, width: int, seed: int) -> None:
    x = doubles(seed, 1, 2, frames, height, width)
    coefficients = dct3(x)
    expected = scipy.fft.dctn(x.numpy(), axes=(-3, -2, -1), norm="ortho")
    torch.testing.assert_close(coefficients, torch.from_numpy(expected), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(dct3(coefficients, inverse=True), x, rtol=1e-10, atol=1e-10)


def test_a_cutoff_of_zero_leaves_the_noise_unchanged() -> None:
    latent, noise = doubles(1, 1, 4, 1, 8, 8), doubles(2, 1, 4, 15, 8, 8)
    refined = refine_noise(noise, latent, make_scheduler("epsilon"), DCTInit(0.0, 975))
    torch.testing.assert_close(refined, noise, rtol=1e-10, atol=1e-10)


def test_the_mask_keeps_the_rows_and_columns_under_the_cutoff() -> None:
    mask = low_pass_mask(40, 64, 0.23)
    assert mask.sum() == 9 * 14
    assert mask[:9, :14].all()


@pytest.mark.parametrize("wrong", [{"cutoff": -0.1}, {"cutoff": 1.5}, {"noise_level": -1}, {"noise_level": 1000}])
def test_numbers_out_of_range_are_rejected_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(wrong))):
        DCTInit(**wrong)
