"""Samplers: DDIM as published, or a higher-order solver that needs fewer steps.

Sources: DDIM, arXiv 2010.02502; UniPC, arXiv 2302.04867; DPM-Solver++, arXiv 2211.01095.
"""

from typing import Any, TypeAlias

from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

from cinemo_core.unipc import UniPC
from cinemo_spec.parameters import SamplerName
from cinemo_spec.ranges import check_word

Sampler: TypeAlias = DDIMScheduler | DPMSolverMultistepScheduler | UniPC

SAMPLERS: dict[SamplerName, Any] = {
    "ddim": DDIMScheduler,
    "unipc": UniPC,
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


def make_sampler(name: SamplerName, trained: DDIMScheduler) -> Sampler:
    """A new sampler with the noise schedule that a model was trained with.

    Raises:
        InvalidParameter: no such sampler.
    """
    check_word("sampler", name, SAMPLERS)
    if name == "ddim":
        return DDIMScheduler.from_config(trained.config)
    return SAMPLERS[name](**{key: trained.config[key] for key in SHARED}, timestep_spacing="trailing")
