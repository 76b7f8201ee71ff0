"""The loss equals the paper's algorithm 1, computed by hand."""

import pytest
import torch

from cinemo_core.training.initial import make_scheduler
from cinemo_core.training.objective import draw, loss_weights, make_task, slope_loss, weighted_loss


def alpha_bar(timestep: int) -> float:
    """The cumulative product of `1 - beta`, betas linear from 1e-4 to 2e-2 in 1000 steps."""
    product = 1.0
    for step in range(timestep + 1):
        product *= 1 - (1e-4 + (2e-2 - 1e-4) * step / 999)
    return product


def latents() -> torch.Tensor:
    return torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))


def test_residuals_are_noised_for_their_timestep_and_the_target_is_the_noise() -> None:
    clip, timesteps = latents(), torch.tensor([10, 700])
    noise = torch.randn(2, 3, 3, 5, 6, generator=torch.Generator().manual_seed(1))
    task = make_task(clip, noise, timesteps, make_scheduler("epsilon"), None)
    for index, timestep in enumerate((10, 700)):
        alpha = alpha_bar(timestep)
        for frame in range(1, 4):
            residual = clip[index, :, frame] - clip[index, :, 0]
            expected = alpha**0.5 * residual + (1 - alpha) ** 0.5 * noise[index, :, frame - 1]
            torch.testing.assert_close(task.noised[index, :, frame - 1], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(task.target, noise)
    assert torch.equal(task.image_latent, clip[:, :, :1])


def test_the_loss_is_the_mean_squared_error() -> None:
    clip, noise = latents(), torch.randn(2, 3, 3, 5, 6)
    task = make_task(clip, noise, torch.tensor([3, 900]), make_scheduler("epsilon"), None)
    prediction = torch.randn_like(noise)
    assert weighted_loss(prediction, task).item() == pytest.approx(((prediction - noise) ** 2).mean().item(), rel=1e-5)
    assert weighted_loss(noise, task) == 0


def test_the_velocity_combines_noise_and_residual() -> None:
    clip, noise = latents(), torch.randn(2, 3, 3, 5, 6)
    task = make_task(clip, noise, torch.tensor([400, 400]), make_scheduler("v_prediction"), None)
    alpha = alpha_bar(400)
    residual = clip[:, :, 1:] - clip[:, :, :1]
    torch.testing.assert_close(task.target, alpha**0.5 * noise - (1 - alpha) ** 0.5 * residual, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_min_snr_limits_the_weight_of_easy_timesteps(prediction_type: str) -> None:
    timesteps = torch.tensor([5, 300, 990])
    weights = loss_weights(make_scheduler(prediction_type), timesteps, 5.0)
    for weight, timestep in zip(weights.tolist(), timesteps.tolist(), strict=True):
        snr = alpha_bar(timestep) / (1 - alpha_bar(timestep))
        divisor = snr if prediction_type == "epsilon" else snr + 1
        assert weight == pytest.approx(min(snr, 5) / divisor, rel=1e-3)


def test_a_clips_random_numbers_depend_only_on_the_clip() -> None:
    shape = torch.Size((3, 3, 5, 6))
    one, again, other = (draw(number, 0, shape, 1000, 0.5) for number in (4, 4, 5))
    assert torch.equal(one.noise, again.noise)
    assert (one.timestep, one.drop_caption) == (again.timestep, again.drop_caption)
    assert not torch.equal(one.noise, other.noise)
    draws = [draw(number, 0, torch.Size((1,)), 1000, 0.5) for number in range(2000)]
    assert sum(each.drop_caption for each in draws) / 2000 == pytest.approx(0.5, abs=0.05)
    assert sum(each.timestep for each in draws) / 2000 == pytest.approx(499.5, abs=25)
    assert {each.timestep // 100 for each in draws} == set(range(10))
    noise = torch.stack([draw(number, 0, torch.Size((100,)), 1000, 0.5).noise for number in range(200)])
    assert noise.mean().abs() < 0.03
    assert noise.std() == pytest.approx(1, abs=0.02)


def test_a_uniform_error_of_the_flow_has_no_roughness_penalty() -> None:
    noise_shares = torch.tensor([1.0, 0.5, 0.0])
    alike = torch.zeros(3, 5, 2, 4, 6)
    alike[:, 3] = 2.0
    assert not slope_loss(alike, noise_shares).any()
    torn = alike.clone()
    torn[:, 3, :, :, ::2] = 0
    # Each of the neighbours along a row differs by 2, none along a column, and so does half of the flow's channels.
    assert slope_loss(torn, noise_shares).tolist() == pytest.approx([1.0, 0.5, 0.0])
    colours = torch.randn(3, 5, 2, 4, 6)
    colours[:, 3:] = 0
    assert not slope_loss(colours, noise_shares).any(), "only flow has to be smooth"


def test_the_penalty_of_rough_flow_is_proportional_to_its_weight() -> None:
    clip = torch.randn(2, 5, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(2, 5, 3, 5, 6, generator=torch.Generator().manual_seed(1))
    task = make_task(clip, noise, torch.tensor([300, 900]), make_scheduler("v_prediction"), None)
    prediction = task.target + torch.randn(noise.shape, generator=torch.Generator().manual_seed(2))
    plain, twice, thrice = (float(weighted_loss(prediction, task, weight)) for weight in (0, 1, 2))
    assert plain < twice
    assert thrice - twice == pytest.approx(twice - plain, rel=1e-4)
    assert weighted_loss(task.target, task, 1.0) == 0
