"""A model's flow and light lose their noise and keep what is intended: pans, tremors, waves, fading light."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cinemo_core.detail.steady import size, steady, steady_light
from cinemo_core.training.motions import SHAKES_PER_FRAME

FRAMES, HEIGHT, WIDTH, CELL = 15, 128, 192, 16


def cells(flow: Tensor, noise: float, seed: int = 0) -> Tensor:
    """Means of a flow over cells, with a model's error of so many pixels."""
    means = F.avg_pool2d(flow, CELL)
    return means + noise * torch.randn(means.shape, generator=torch.Generator().manual_seed(seed))


def shifts(right: Tensor, down: Tensor) -> Tensor:
    """A flow `(f, 2, h, w)` of the whole picture, pixels."""
    return torch.stack((right, down), dim=1)[..., None, None].expand(-1, -1, HEIGHT, WIDTH)


def times() -> Tensor:
    return torch.arange(1, FRAMES + 1).float()


def waves(travel: Tensor) -> Tensor:
    x = torch.arange(WIDTH) - (WIDTH - 1) / 2
    down = 4 * (torch.sin(x / 10 - travel[:, None] / 6) - torch.sin(x / 10))
    still = torch.zeros(FRAMES, HEIGHT, WIDTH)
    return torch.stack((still, down[:, None].expand(-1, HEIGHT, -1)), dim=1)


def test_a_noisy_pan_becomes_rigid_and_keeps_its_length() -> None:
    pan = shifts(1.5 * times(), torch.zeros(FRAMES))
    noisy = cells(pan, 0.3)
    made = steady(noisy, HEIGHT, WIDTH)
    assert size(noisy - noisy.mean((2, 3), keepdim=True)) > 0.4, "what it was told is not rigid"
    assert size(made - made.mean((2, 3), keepdim=True)) < 0.1
    assert size(made - pan) < 0.25


def test_a_still_scene_stays_still() -> None:
    assert size(steady(cells(shifts(0 * times(), 0 * times()), 0.15), HEIGHT, WIDTH)) < 0.01


@pytest.mark.parametrize("speed", [0.7, 2.0])
def test_an_intended_tremor_is_kept(speed: float) -> None:
    right, down = (1.6 * speed * torch.sin(times() * radians) for radians in SHAKES_PER_FRAME)
    shake = shifts(right, down)
    # What of a slow tremor looks like drift is no larger than the drift of a model's noise, and goes with it.
    assert size(steady(cells(shake, 0.3), HEIGHT, WIDTH) - shake) < 0.25 * size(shake)


def test_waves_are_kept() -> None:
    flow = waves(1.5 * times())
    assert size(steady(cells(flow, 0.3), HEIGHT, WIDTH) - flow) < 0.25 * size(flow)


def test_a_motion_is_steadied_alike_at_all_sizes() -> None:
    noisy = cells(shifts(times(), -times()), 0.3)
    small, large = steady(noisy, HEIGHT, WIDTH), steady(3 * noisy, 3 * HEIGHT, 3 * WIDTH)
    torch.testing.assert_close(F.avg_pool2d(large, 3 * CELL) / 3, F.avg_pool2d(small, CELL), rtol=1e-3, atol=1e-3)


def gains(light: Tensor, noise: float) -> Tensor:
    """Factors `(f, 3, h', w')` of fading light, with a model's noise."""
    shape = (FRAMES, 3, 8, 12)
    errors = noise * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return light[:, None, None, None] * errors.exp()


def test_flickering_light_is_not_followed() -> None:
    noisy = gains(torch.ones(FRAMES), 0.06)
    assert (noisy - 1).abs().max() > 0.15
    assert (steady_light(noisy) - 1).abs().max() < 0.01


def test_fading_light_is_followed() -> None:
    fading = 1 - 0.6 * times() / FRAMES
    made = steady_light(gains(fading, 0.06))
    assert (made.mean((1, 2, 3)) / fading - 1).abs().max() < 0.05
    assert math.isclose(float(made.std((2, 3)).max()), 0, abs_tol=0.02)
