"""A student learns to cross each phase of the schedule like its guided teacher, for every prediction type."""

from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler
from safetensors.torch import load_file
from torch import Tensor

from cinemo_core import CinemoPipeline
from cinemo_core.training.distillation import (
    Given,
    jump,
    make_distillation_task,
    make_phases,
    prediction_of,
    velocity_between,
    velocity_of,
)
from cinemo_core.training.initial import make_scheduler
from cinemo_core.training.networks import Model, build
from cinemo_spec.errors import InvalidParameter
from cinemo_spec.training import DistillConfig, TrainConfig
from tests.datasets import training
from tests.unit.cinemo_core.training.runs import Cut, CutAfter, equal, losses, on_cpu, weights

STUDENT = {"steps": 4, "solver_steps": 8}


def distilling(source: Path | str, **changes: object) -> TrainConfig:
    return training(source, **{"method": "distill", "distillation": STUDENT, **changes})


def noise_like(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("steps", [1, 4, 5, 8])
def test_phases_begin_at_the_steps_of_the_students_sampler(steps: int) -> None:
    scheduler = make_scheduler("v_prediction")
    phases = make_phases(scheduler, DistillConfig(steps=steps, solver_steps=40))
    trailing = DDIMScheduler.from_config(scheduler.config, timestep_spacing="trailing")
    trailing.set_timesteps(steps)
    assert phases.timesteps[:: 40 // steps].tolist() == trailing.timesteps.tolist()
    assert (phases.starts > phases.stops).all()
    assert (phases.stops >= phases.ends).all()
    assert torch.equal(phases.stops[:-1], phases.starts[1:]), "each of the teacher's steps begins where one ends"
    assert phases.following[:-1].tolist() == phases.timesteps[1:].tolist()
    assert phases.stops[-1].cos() == pytest.approx(float(scheduler.final_alpha_cumprod) ** 0.5)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_jump_equals_a_step_of_ddim(prediction_type: str) -> None:
    scheduler = DDIMScheduler.from_config(make_scheduler(prediction_type).config, timestep_spacing="trailing")
    scheduler.set_timesteps(4)
    phases = make_phases(scheduler, DistillConfig(steps=4, solver_steps=8))
    for number, timestep in enumerate(scheduler.timesteps.tolist()):
        sample, prediction = noise_like(0, 1, 2, 3, 4, 4), noise_like(1, 1, 2, 3, 4, 4)
        start, end = phases.starts[2 * number][None], phases.ends[2 * number][None]
        velocity = velocity_of(prediction, sample, start, prediction_type == "epsilon")
        expected = scheduler.step(prediction, timestep, sample).prev_sample
        torch.testing.assert_close(jump(sample, velocity, start - end), expected, rtol=1e-3, atol=1e-3)
        again = prediction_of(velocity, sample, start, prediction_type == "epsilon")
        torch.testing.assert_close(again, prediction, rtol=1e-3, atol=1e-3)


def test_the_velocity_connects_two_samples() -> None:
    sample, after = noise_like(0, 2, 2, 3, 4, 4), noise_like(1, 2, 2, 3, 4, 4)
    distance = torch.tensor([0.3, 0.05], dtype=torch.float64)
    torch.testing.assert_close(
        jump(sample, velocity_between(sample, after, distance), distance), after, rtol=1e-4, atol=1e-4
    )


@pytest.fixture(scope="module", params=["full", "lora"])
def student(request: pytest.FixtureRequest) -> Model:
    """A student that has been trained, so that it differs from its teacher."""
    changes = {"lora": {"rank": 2}} if request.param == "lora" else {}
    model = build(distilling("none", **changes), "tiny", torch.device("cpu"))
    torch.manual_seed(0)
    with torch.no_grad():
        for value, shadow in zip(model.trained().values(), model.average.shadow_params, strict=True):
            value.add_(torch.randn_like(value), alpha=0.02)
            shadow.copy_(value).add_(torch.randn_like(value), alpha=0.02)
    return model


@torch.no_grad()
def test_the_target_is_the_averages_jump_after_one_guided_step_of_the_teacher(
    student: Model, tiny: CinemoPipeline
) -> None:
    """By hand, with diffusers' DDIM and the base model as the teacher."""
    latents, noise = noise_like(0, 1, 5, 4, 4, 6), noise_like(1, 1, 5, 3, 4, 6)
    tokens, none = (
        tiny.tokenizer([text], padding="max_length", return_tensors="pt").input_ids for text in ("shake", "")
    )
    bucket, config = torch.tensor([9.0]), DistillConfig(**STUDENT)
    before = {name: value.detach().clone() for name, value in student.trained().items()}
    task = make_distillation_task(student, config, latents, noise, torch.tensor([2]), Given(tokens, none, bucket), None)
    assert equal(before, {name: value.detach() for name, value in student.trained().items()}), "weights are put back"
    assert all(value.requires_grad for value in student.trained().values())

    image, residual = latents[:, :, :1], latents[:, :, 1:] - latents[:, :, :1]
    solver = DDIMScheduler.from_config(tiny.scheduler.config, timestep_spacing="trailing")
    solver.set_timesteps(8)
    noised = solver.add_noise(residual, noise, torch.tensor([749]))
    torch.testing.assert_close(task.noised, noised)
    assert task.timesteps.tolist() == [749]
    with_text, without = (
        tiny.unet(noised, 749, tiny.text_encoder(each).last_hidden_state, image, bucket) for each in (tokens, none)
    )
    stepped = solver.step(without + 1.3 * (with_text - without), 749, noised).prev_sample
    with student.averaged():
        text = student.networks.text_encoder(tokens).last_hidden_state
        ahead = student.networks.unet(stepped, 624, text, image, bucket)
    clean = solver.step(ahead, 624, stepped).pred_original_sample
    alpha = solver.alphas_cumprod[[749, 624, 499]]
    implied = (stepped - alpha[1].sqrt() * clean) / (1 - alpha[1]).sqrt()
    landed = alpha[2].sqrt() * clean + (1 - alpha[2]).sqrt() * implied
    # The student's own step of DDIM with the target as its prediction lands there, too.
    sampler = DDIMScheduler.from_config(tiny.scheduler.config, timestep_spacing="trailing")
    sampler.set_timesteps(4)
    torch.testing.assert_close(sampler.step(task.target, 749, task.noised).prev_sample, landed, rtol=1e-4, atol=1e-4)


def test_the_student_needs_few_steps_without_guidance_and_its_teacher_is_unchanged(student: Model) -> None:
    assert (student.card.num_inference_steps, student.card.guidance_scale) == (4, 1.0)
    assert student.scheduler.config.timestep_spacing == "trailing"
    assert student.teacher is not None
    assert (student.teacher.card.num_inference_steps, student.teacher.card.guidance_scale) == (20, 1.3)
    assert student.teacher.scheduler.config.timestep_spacing == "leading"


@pytest.mark.parametrize("lora", [None, {"rank": 2}])
def test_a_distillation_interrupted_twice_gives_the_same_bits(
    videos: Path, tmp_path: Path, lora: dict[str, int] | None
) -> None:
    config = distilling(videos, steps=5, lora=lora, log_every_steps=1, checkpoint_every_steps=2)
    whole = on_cpu(config, tmp_path / "whole")
    for step in (2, 4):
        with pytest.raises(Cut):
            on_cpu(config, tmp_path / "cut", CutAfter(step))
    resumed = on_cpu(config, tmp_path / "cut")
    assert equal(weights(whole), weights(resumed))
    assert losses(whole) == losses(resumed)
    averages = (load_file(tmp_path / run / "states/step-00000005/average.safetensors") for run in ("whole", "cut"))
    assert equal(*averages)


@pytest.mark.parametrize(
    ("steps", "guidance_scale", "message"),
    [(4, 1.3, "takes 4 steps already; name the model that it was distilled from"), (8, 1, "works without guidance")],
)
def test_a_model_with_nothing_to_distil_is_rejected(steps: int, guidance_scale: float, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        distilling("none").check_teacher(steps, guidance_scale)


def test_with_a_fixed_guidance_only_steps_are_distilled() -> None:
    config = distilling("none", distillation={**STUDENT, "guidance_scale": 1})
    config.check_teacher(8, 1)
