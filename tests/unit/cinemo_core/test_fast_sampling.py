"""Faster sampling: exact caching changes nothing, approximations stay close and cost less."""

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from cinemo_core import CinemoPipeline, CinemoUNet
from cinemo_core.media import Frames
from cinemo_core.samplers import make_sampler
from cinemo_core.sampling import Conditions, denoise
from cinemo_core.training.initial import make_scheduler
from cinemo_core.training.sources import photo_path
from cinemo_core.unet import FeatureCache
from cinemo_spec.parameters import SamplerName
from tests.goldens import relative_error, seeded_inputs


def zoomed(pipe: CinemoPipeline, **arguments: Any) -> Frames:
    """The frames after the photo's own."""
    with Image.open(photo_path("coffee.png")) as photo:
        return pipe(photo, "zoom in", detail="off", width=72, height=48, **arguments)[1:]


@pytest.fixture(scope="module")
def exact_and_other(tiny: CinemoPipeline) -> tuple[Frames, Frames]:
    """A clip with all steps, and one with another seed."""
    return zoomed(tiny, num_inference_steps=50), zoomed(tiny, num_inference_steps=50, seed=1)


@pytest.mark.parametrize("name", ["unipc", "dpm++"])
@pytest.mark.parametrize(
    "schedule", [{"trained_betas": [1e-4 * (1 + i) for i in range(100)]}, {"rescale_betas_zero_snr": True}]
)
def test_a_solver_adopts_the_whole_noise_schedule(name: SamplerName, schedule: dict[str, Any]) -> None:
    trained = DDIMScheduler(clip_sample=False, **schedule)
    # The last of a rescaled schedule is 0, where the solvers put the least that they can divide by.
    torch.testing.assert_close(make_sampler(name, trained).alphas_cumprod, trained.alphas_cumprod, atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_text_and_tables_prepared_once_give_the_same_prediction(unet: CinemoUNet) -> None:
    sample, base, text = seeded_inputs(3, 2, 7, 8, 8)
    bucket = torch.tensor([3, 4])
    prepared = unet(sample, 10, unet.prepare(text, 7), base, bucket)
    assert torch.equal(prepared, unet(sample, 10, text, base, bucket))


@torch.no_grad()
def test_cached_features_of_the_same_step_give_the_same_prediction_and_skip_the_deep_levels(unet: CinemoUNet) -> None:
    sample, base, text = seeded_inputs(4, 1, 7, 8, 8)
    bucket, features = torch.tensor([3]), FeatureCache()
    full = unet(sample, 10, text, base, bucket, features)
    calls: list[int] = []
    handle = unet.mid_block.register_forward_hook(lambda *_: calls.append(1))
    cached = unet(sample, 10, text, base, bucket, features)
    other = unet(sample, 900, text, base, bucket, features)
    handle.remove()
    assert torch.equal(cached, full)
    assert not torch.equal(other, full)
    assert calls == []


@torch.no_grad()
@pytest.mark.parametrize(("interval", "deep_runs"), [(1, 6), (2, 3), (4, 2)])
def test_deep_features_are_computed_in_every_nth_step(unet: CinemoUNet, interval: int, deep_runs: int) -> None:
    sample, base, text = seeded_inputs(5, 1, 7, 8, 8)
    given = Conditions(base, text, text, torch.tensor([3]), guidance_scale=2.0)
    calls: list[int] = []
    handle = unet.mid_block.register_forward_hook(lambda *_: calls.append(1))
    denoise(unet, make_scheduler("epsilon"), sample, given, 6, cache_interval=interval)
    handle.remove()
    assert len(calls) == deep_runs


@pytest.mark.parametrize(
    "way",
    [
        {"num_inference_steps": 20, "sampler": "unipc"},
        {"num_inference_steps": 20, "sampler": "dpm++"},
        {"num_inference_steps": 50, "cache_interval": 2},
    ],
    ids=["unipc", "dpm++", "cache"],
)
def test_approximations_stay_close_to_the_exact_clip(
    tiny: CinemoPipeline, exact_and_other: tuple[Frames, Frames], way: dict[str, Any]
) -> None:
    exact, other = exact_and_other
    close = zoomed(tiny, **way)
    assert peak_signal_noise_ratio(exact, close) > peak_signal_noise_ratio(exact, other) + 3


def test_latents_stay_in_float32_between_the_steps_of_a_half_precision_network(unet: CinemoUNet) -> None:
    sample, base, text = seeded_inputs(6, 1, 7, 8, 8)
    given = Conditions(base, text, text, torch.tensor([3]), guidance_scale=2.0)
    half = CinemoUNet.from_config(unet.config)
    half.load_state_dict(unet.state_dict())
    half.to(torch.bfloat16).eval()
    seen: list[torch.dtype] = []

    def note(_: int, timestep: int, residual: Tensor, clean: Tensor) -> Tensor:
        seen.append(residual.dtype)
        return residual

    with torch.no_grad():
        result = denoise(half, make_scheduler("epsilon"), sample, given, 3, note)
        exact = denoise(unet, make_scheduler("epsilon"), sample, given, 3)
    assert set(seen) == {torch.float32}
    assert relative_error(result, exact) < 0.1
