"""Denoising and inversion: the published numbers, both prediction types, and the step callback."""

from dataclasses import replace

import pytest
import torch
from diffusers import UniPCMultistepScheduler
from torch import Tensor

from cinemo_core import CinemoUNet, Conditions, denoise, invert
from cinemo_core.samplers import SAMPLERS, make_sampler
from cinemo_core.training.initial import make_scheduler
from cinemo_spec.parameters import SamplerName
from cinemo_spec.ranges import RANGES
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
    """A network that knows the clean sample, and predicts it in the scheduler's prediction type."""

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
def test_denoising_with_a_perfect_predictor_recovers_the_clip(prediction_type: str) -> None:
    clean, base, text = seeded_inputs(5, 1, 7, 4, 4)
    oracle, scheduler = Oracle(clean, prediction_type), make_scheduler(prediction_type)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    result = denoise(oracle, scheduler, noise, conditions(base, text, text, 0, 1.0), 20)  # type: ignore[arg-type]
    assert relative_error(result, clean) < 0.02


class Gaussian(Oracle):
    """The optimal network for clean samples from N(0, DEVIATION^2), which needs only the noisy sample."""

    DEVIATION = 0.5

    def forward(self, residual: Tensor, timestep: int, *_: object) -> Tensor:
        alpha = self.scheduler.alphas_cumprod[timestep]
        self.clean = residual * alpha.sqrt() * self.DEVIATION**2 / spread(alpha, self.DEVIATION) ** 2
        return super().forward(residual, timestep)


def spread(alpha: Tensor, deviation: float) -> Tensor:
    """Standard deviation of noised samples whose clean ones have this deviation."""
    return (alpha * deviation**2 + 1 - alpha).sqrt()


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_inversion_finds_a_samples_noise_and_denoising_recovers_the_sample(prediction_type: str) -> None:
    start, base, text = seeded_inputs(6, 1, 7, 4, 4)
    network, scheduler = Gaussian(start, prediction_type), make_scheduler(prediction_type)
    given = conditions(base, text, text, 0, 1.0)
    noise = invert(network, scheduler, start, given, 200)  # type: ignore[arg-type]
    # Along the path of equal chance, samples grow as all of them spread.
    first, last = scheduler.alphas_cumprod[0], scheduler.alphas_cumprod[int(scheduler.timesteps[0])]
    grown = spread(last, network.DEVIATION) / spread(first, network.DEVIATION)
    assert grown > 1.9
    assert relative_error(noise, start * grown) < 0.02
    back = denoise(network, scheduler, noise, given, 200)  # type: ignore[arg-type]
    assert relative_error(back, start) < 0.03


def test_sampling_keeps_no_autograd_graph() -> None:
    clean, base, text = seeded_inputs(5, 1, 7, 4, 4)
    oracle, scheduler = Oracle(clean.requires_grad_(), "epsilon"), make_scheduler("epsilon")
    for walk in (denoise, invert):
        result = walk(oracle, scheduler, torch.zeros_like(clean), conditions(base, text, text, 0, 1.0), 2)  # type: ignore[arg-type]
        assert not result.requires_grad


def test_rescaled_guidance_has_the_contrast_of_the_conditional_prediction_per_clip() -> None:
    without, with_text = (torch.randn(2, 4, 7, 4, 4, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    given = replace(conditions(without, without, without, 0, 9.0), guidance_rescale=1.0)
    plain, whole, half = (
        replace(given, guidance_rescale=share).guided(without, with_text) for share in (0.0, 1.0, 0.5)
    )
    over = (1, 2, 3, 4)
    torch.testing.assert_close(plain, without + 9 * (with_text - without))
    torch.testing.assert_close(whole.std(over), with_text.std(over))
    torch.testing.assert_close(half, (plain + whole) / 2)
    assert (plain.std(over) > 5 * with_text.std(over)).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [RANGES["num_inference_steps"].minimum, RANGES["num_inference_steps"].maximum])
def test_the_minimum_and_maximum_number_of_steps_work(sampler: SamplerName, steps: int) -> None:
    clean, base, text = seeded_inputs(5, 1, 7, 4, 4)
    scheduler = make_sampler(sampler, make_scheduler("epsilon"))
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    result = denoise(Oracle(clean, "epsilon"), scheduler, noise, conditions(base, text, text, 0, 1.0), steps)  # type: ignore[arg-type]
    assert len(scheduler.timesteps) == steps
    assert 0 <= scheduler.timesteps.min() <= scheduler.timesteps.max() < 1000
    assert result.isfinite().all()


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("steps", [1, 2, 3, 20])
def test_unipc_with_its_coefficients_on_the_host_gives_the_numbers_of_diffusers(kind: str, steps: int) -> None:
    ours = make_sampler("unipc", make_scheduler(kind))
    theirs = UniPCMultistepScheduler.from_config(ours.config)
    results = []
    for scheduler in (ours, theirs):
        sample = torch.randn(1, 4, 7, 8, 8, generator=torch.Generator().manual_seed(0))
        scheduler.set_timesteps(steps)
        for timestep in scheduler.timesteps.tolist():
            sample = scheduler.step(torch.sin(sample + timestep), timestep, sample).prev_sample
        results.append(sample)
    assert relative_error(*results) < 1e-6


@torch.no_grad()
def test_a_callbacks_latents_are_used_and_its_exception_ends_the_loop(unet: CinemoUNet) -> None:
    sample, base, text = seeded_inputs(8, 1, 3, 8, 8)
    given, scheduler = conditions(base, text, text, 3, 1.0), make_scheduler("epsilon")
    seen: list[int] = []

    def stop_at_two(index: int, timestep: int, residual: Tensor, clean: Tensor) -> Tensor:
        seen.append(timestep)
        if index == 1:
            raise KeyboardInterrupt
        return torch.zeros_like(residual)

    with pytest.raises(KeyboardInterrupt):
        denoise(unet, scheduler, sample, given, 5, stop_at_two)
    assert seen == [801, 601]
    zeroed = denoise(unet, scheduler, sample, given, 1, lambda *step: torch.zeros_like(step[2]))
    assert not zeroed.any()
