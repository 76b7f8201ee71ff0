"""Samplers: DDIM as published, or a higher-order solver that needs fewer steps.

Sources: DDIM, arXiv 2010.02502; UniPC, arXiv 2302.04867; DPM-Solver++, arXiv 2211.01095.
"""

from typing import Any, Literal, TypeAlias

from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler

from cinemo_spec.errors import InvalidParameter

Sampler: TypeAlias = DDIMScheduler | DPMSolverMultistepScheduler | UniPCMultistepScheduler
SamplerName = Literal["ddim", "unipc", "dpm++"]

SAMPLERS: dict[str, Any] = {
    "ddim": DDIMScheduler,
    "unipc": UniPCMultistepScheduler,
    "dpm++": DPMSolverMultistepScheduler,
}
# Settings that the solvers share with DDIM: the noise schedule and the prediction type.
SHARED = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "rescale_betas_zero_snr",
    "prediction_type",
    "steps_offset",
)


def make_sampler(name: str, trained: DDIMScheduler) -> Sampler:
    """A new sampler with the noise schedule that a model was trained with.

    Raises:
        InvalidParameter: no such sampler.
    """
    if name not in SAMPLERS:
        raise InvalidParameter(f"sampler must be one of {', '.join(SAMPLERS)}, got {name}")
    if name == "ddim":
        return DDIMScheduler.from_config(trained.config)
    return SAMPLERS[name](**{key: trained.config[key] for key in SHARED}, timestep_spacing="trailing")
