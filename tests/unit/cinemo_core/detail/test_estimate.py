import pytest
import torch

from cinemo_core.detail import estimate
from tests.unit.cinemo_core.detail.scenes import pan


@pytest.mark.parametrize("step", [0.4, 1.5, 4.0])
def test_a_pan_is_found(step: float) -> None:
    scene = pan(step=step)
    error = (estimate(scene.small[0], scene.small[1:], "clean") - scene.flow).norm(dim=1)
    reach = int(step * 4) + 2
    assert error[..., :-reach].mean() < 0.3


def test_a_pan_is_found_despite_noise() -> None:
    scene = pan()
    grain = torch.randn(scene.small[1:].shape, generator=torch.Generator().manual_seed(1)) * 0.06
    flow = estimate(scene.small[0], (scene.small[1:] + grain).clamp(0, 1))
    assert (flow - scene.flow).norm(dim=1)[..., :-8].mean() < 0.5


def test_a_still_clip_does_not_move() -> None:
    scene = pan(step=0)
    assert estimate(scene.small[0], scene.small[1:]).abs().max() < 0.05


@pytest.mark.parametrize("size", [(96, 54), (41, 67), (16, 16), (9, 33)])
def test_any_shape_is_supported(size: tuple[int, int]) -> None:
    scene = pan(size=size, step=0.5)
    flow = estimate(scene.small[0], scene.small[1:])
    assert flow.shape == (4, 2, *size)
    assert flow.isfinite().all()


def test_one_frame_is_enough() -> None:
    scene = pan(frames=1)
    assert (estimate(scene.small[0], scene.small[1:]) - scene.flow).norm(dim=1)[..., :-4].mean() < 0.3


def test_a_frame_without_detail_does_not_move() -> None:
    flow = estimate(torch.full((3, 32, 48), 0.5), torch.full((2, 3, 32, 48), 0.5))
    assert flow.abs().max() < 0.01
