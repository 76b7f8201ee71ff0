"""Denoising and inversion: the published numbers, both prediction types, and the step callback."""

import pytest
import torch
from torch import Tensor

from cinemo_core import CinemoUNet
from cinemo_core.sampling import Conditions, denoise, invert
from cinemo_core.training.initial import make_scheduler
from tests.goldens import relative_error, seeded_inputs


def conditions(base: Tensor, text: Tensor, negative: Tensor, bucket: int, guidance_scale: float) -> Conditions:
    return Conditions(base, text, negative, torch.tensor([bucket]), guidance_scale)


@torch.no_grad()
def test_ten_guided_steps_agree_with_the_published_code(unet: CinemoUNet, golden: dict[str, Tensor]) -> None:
    sample, base, text = seeded_inputs(31, 1, 15, 8, 16)
    negative = seeded_inputs(1031, 1, 15, 8, 16)[2]
    result = denoise(unet, make_scheduler("epsilon"), sample, conditions(base, text, negative, 8, 7.5), 10)
    assert relative_error(result, golden["ddim_cfg"]) < 1e-4


@torch.no_grad()
def test_ten_unguided_steps_agree_with_the_published_code(unet: CinemoUNet, golden: dict[str, Tensor]) -> None:
    sample, base, text = seeded_inputs(32, 1, 15, 8, 16)
    result = denoise(unet, make_scheduler("epsilon"), sample, conditions(base, text, text, 95, 1.0), 10)
    assert relative_error(result, golden["ddim_nocfg"]) < 1e-4


@torch.no_grad()
def test_ten_inversion_steps_agree_with_the_published_code(unet: CinemoUNet, golden: dict[str, Tensor]) -> None:
    sample, base, text = seeded_inputs(33, 1, 15, 8, 16)
    result = invert(unet, make_scheduler("epsilon"), 0.3 * sample, conditions(base, text, text, 8, 1.0), 10)
    assert relative_error(result, golden["inversion"]) < 1e-4


class Oracle(torch.nn.Module):
    """A network that knows the clean sample, and answers in the scheduler's own prediction type."""

    def __init__(self, clean: Tensor, prediction_type: str) -> None:
        super().__init__()
        self.clean, self.scheduler, self.prediction_type = clean, make_scheduler(prediction_type), prediction_type

    dtype = torch.float32

    def prepare(self, text: Tensor, frames: int) -> Tensor:
        return text

    def forward(self, residual: Tensor, timestep: int, *_: object) -> Tensor:
        alpha = self.scheduler.alphas_cumprod[timestep]
        noise = (residual - alpha.sqrt() * self.clean) / (1 - alpha).sqrt()
        if self.prediction_type == "epsilon":
            return noise
        return alpha.sqrt() * noise - (1 - alpha).sqrt() * self.clean


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_network_that_knows_the_answer_is_led_to_it(prediction_type: str) -> None:
    clean, base, text = seeded_inputs(5, 1, 7, 4, 4)
    oracle, scheduler = Oracle(clean, prediction_type), make_scheduler(prediction_type)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    result = denoise(oracle, scheduler, noise, conditions(base, text, text, 0, 1.0), 20)  # type: ignore[arg-type]
    assert relative_error(result, clean) < 0.02


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_denoising_undoes_inversion(prediction_type: str) -> None:
    clean, base, text = seeded_inputs(6, 1, 7, 4, 4)
    oracle, scheduler = Oracle(clean, prediction_type), make_scheduler(prediction_type)
    given = conditions(base, text, text, 0, 1.0)
    start = clean + 0.01 * seeded_inputs(7, 1, 7, 4, 4)[0]
    noise = invert(oracle, scheduler, start, given, 50)  # type: ignore[arg-type]
    back = denoise(oracle, scheduler, noise, given, 50)  # type: ignore[arg-type]
    assert relative_error(back, start) < 0.05


@torch.no_grad()
def test_what_a_step_returns_is_carried_on_with_and_what_it_raises_ends_the_loop(unet: CinemoUNet) -> None:
    sample, base, text = seeded_inputs(8, 1, 3, 8, 8)
    given, scheduler = conditions(base, text, text, 3, 1.0), make_scheduler("epsilon")
    seen: list[int] = []

    def stop_at_two(index: int, timestep: int, residual: Tensor) -> Tensor:
        seen.append(timestep)
        if index == 1:
            raise KeyboardInterrupt
        return torch.zeros_like(residual)

    with pytest.raises(KeyboardInterrupt):
        denoise(unet, scheduler, sample, given, 5, stop_at_two)
    assert seen == [801, 601]
    zeroed = denoise(unet, scheduler, sample, given, 1, lambda index, timestep, residual: torch.zeros_like(residual))
    assert not zeroed.any()
