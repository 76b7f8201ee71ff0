"""The task of a step of distillation: a student learns to cross a whole phase of the schedule in one step, unguided.

The schedule is cut into as many phases as the student will take steps. From a noised clip, the teacher takes one small
guided DDIM step; from there, the student's average jumps to the end of the phase; the student learns to get to the same
place in one jump. Sources: phased consistency, arXiv 2405.18407, section 3; trajectory consistency, arXiv 2402.19159;
guidance in the teacher's step, arXiv 2310.04378, section 4.2.

With the angle `a` of a timestep, where a sample is `cos(a) * clean + sin(a) * noise`, its velocity is what the angle
changes it by (arXiv 2202.00512, appendix D), and a DDIM step over any distance is a rotation.
"""

from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from cinemo_core.residual import split_residual
from cinemo_core.sampling import classifier_free
from cinemo_core.training.networks import Model
from cinemo_core.training.objective import Task, loss_weights
from cinemo_spec.training import DistillConfig


@dataclass(frozen=True)
class Phases:
    """The teacher's steps, from the noisiest, `(n,)` each; angles are float64.

    Attributes:
        timesteps: where each step starts, 0..999.
        following: where it stops, 0 for the clean end.
        starts: angle of the timestep.
        stops: angle at the end of the teacher's step.
        ends: angle at the end of the phase.
    """

    timesteps: Tensor
    following: Tensor
    starts: Tensor
    stops: Tensor
    ends: Tensor


def make_phases(scheduler: DDIMScheduler, config: DistillConfig) -> Phases:
    """Cut a schedule into `config.steps` phases of equally many teacher's steps, with trailing spacing."""
    count, per_phase = config.solver_steps, config.solver_steps // config.steps
    last = scheduler.config.num_train_timesteps
    places = torch.linspace(last, 0, count + 1, dtype=torch.float64).round().long() - 1
    shares = torch.cat((scheduler.alphas_cumprod, scheduler.final_alpha_cumprod[None])).double()
    # The place after the last timestep is -1, where the scheduler's final value is.
    angles = torch.atan2((1 - shares).sqrt(), shares.sqrt())[places]
    ends = (torch.arange(count) // per_phase + 1) * per_phase
    return Phases(places[:-1], places[1:].clamp(min=0), angles[:-1], angles[1:], angles[ends])


def jump(sample: Tensor, velocity: Tensor, distance: Tensor) -> Tensor:
    """The sample `(b, …)` that a DDIM step leads to, over an angle `(b,)` towards the clean sample."""
    return per_clip(distance.cos(), sample) * sample - per_clip(distance.sin(), sample) * velocity


def velocity_between(sample: Tensor, after: Tensor, distance: Tensor) -> Tensor:
    """The velocity with which a jump over `distance (b,)` leads from one sample to another."""
    return (per_clip(distance.cos(), sample) * sample - after) / per_clip(distance.sin(), sample)


def velocity_of(prediction: Tensor, sample: Tensor, angle: Tensor, epsilon: bool) -> Tensor:
    """The velocity that a prediction for a sample at an angle `(b,)` means."""
    if not epsilon:
        return prediction
    return (prediction - per_clip(angle.sin(), sample) * sample) / per_clip(angle.cos(), sample)


def prediction_of(velocity: Tensor, sample: Tensor, angle: Tensor, epsilon: bool) -> Tensor:
    """Inverse of `velocity_of`."""
    if not epsilon:
        return velocity
    return per_clip(angle.cos(), sample) * velocity + per_clip(angle.sin(), sample) * sample


def per_clip(value: Tensor, sample: Tensor) -> Tensor:
    """A number of each clip `(b,)`, in the dtype of `sample (b, …)` and to be multiplied with it."""
    return value.to(sample.dtype).view(-1, *[1] * (sample.ndim - 1))


@dataclass(frozen=True)
class Given:
    """What all predictions for a batch are made from: token ids `(b, tokens)` of captions, and of none, which guidance
    leads away from; motion buckets `(b,)`."""

    tokens: Tensor
    no_tokens: Tensor
    buckets: Tensor


@torch.no_grad()
def make_distillation_task(
    model: Model,
    config: DistillConfig,
    latents: Tensor,
    noise: Tensor,
    numbers: Tensor,
    given: Given,
    min_snr_gamma: float | None,
) -> Task:
    """What the student learns from clip latents `(b, c, f + 1, h, w)` and `noise (b, c, f, h, w)`.

    `numbers (b,)`, on the CPU, says which of the teacher's steps each clip is for.
    """
    scheduler, phases = model.scheduler, make_phases(model.scheduler, config)
    epsilon = scheduler.config.prediction_type == "epsilon"
    timesteps, following = (each[numbers].to(latents.device) for each in (phases.timesteps, phases.following))
    start, stop, end = (each[numbers].to(latents.device) for each in (phases.starts, phases.stops, phases.ends))
    image_latent, residual = split_residual(latents)
    noised = scheduler.add_noise(residual, noise, timesteps)
    guided = guided_prediction(model, noised, timesteps, image_latent, given)
    stepped = jump(noised, velocity_of(guided, noised, start, epsilon), start - stop)
    with model.averaged():
        ahead = model.networks(stepped, following, given.tokens, image_latent, given.buckets).float()
    landed = jump(stepped, velocity_of(ahead, stepped, stop, epsilon), stop - end)
    velocity = velocity_between(noised, landed, start - end)
    target = prediction_of(velocity, noised, start, epsilon)
    weights = loss_weights(scheduler, timesteps, min_snr_gamma)
    return Task(image_latent, noised, timesteps, target, weights, start.sin().square().to(noised.dtype))


def guided_prediction(model: Model, noised: Tensor, timesteps: Tensor, image_latent: Tensor, given: Given) -> Tensor:
    """The teacher's prediction, with its guidance; float32."""
    assert model.teacher is not None
    copies = 1 if model.teacher.card.guidance_scale == 1 else 2
    tokens = given.tokens if copies == 1 else torch.cat((given.no_tokens, given.tokens))
    inputs = [torch.cat([each] * copies) for each in (noised, timesteps, image_latent, given.buckets)]
    with model.as_teacher() as teacher:
        prediction: Tensor = teacher(inputs[0], inputs[1], tokens, inputs[2], inputs[3]).float()
    if copies == 1:
        return prediction
    without, with_text = prediction.chunk(2)
    return classifier_free(without, with_text, model.teacher.card.guidance_scale)
