"""Measures approximations: how much faster they are, and how far their frames are from the exact ones."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from cinemo_core import CinemoPipeline
from cinemo_core.media import Frames
from cinemo_core.training.sources import held_out
from tests.bench.timing import medians

EXACT: dict[str, Any] = {"num_inference_steps": 50}
WAYS: dict[str, dict[str, Any]] = {
    "DDIM, 50 steps (exact)": EXACT,
    "DDIM, 20 steps": {"num_inference_steps": 20},
    "UniPC, 20 steps": {"num_inference_steps": 20, "sampler": "unipc"},
    "UniPC, 15 steps": {"num_inference_steps": 15, "sampler": "unipc"},
    "DPM-Solver++, 20 steps": {"num_inference_steps": 20, "sampler": "dpm++"},
    "DPM-Solver++, 15 steps": {"num_inference_steps": 15, "sampler": "dpm++"},
    "DDIM, 50 steps, features every 2nd": {**EXACT, "cache_interval": 2},
    "DDIM, 50 steps, features every 3rd": {**EXACT, "cache_interval": 3},
    "DDIM, 50 steps, features every 5th": {**EXACT, "cache_interval": 5},
    "UniPC, 20 steps, features every 2nd": {"num_inference_steps": 20, "sampler": "unipc", "cache_interval": 2},
}
PROMPTS = ("pan left", "zoom in", "waves")


@dataclass(frozen=True)
class Drift:
    """Seconds a clip, how many times faster than exact, PSNR of the generated frames against the exact ones in dB."""

    way: str
    seconds: float
    speed_up: float
    psnr: float


def drifts(model: CinemoPipeline) -> list[Drift]:
    """Measure each approximation on the held-out photos with three prompts."""
    photos, pipe = list(held_out().values()), partial(model, detail="off")
    seconds = medians({name: partial(pipe, photos[0], PROMPTS[0], **way) for name, way in WAYS.items()}, runs=3)
    exact = [pipe(photo, prompt, **EXACT) for photo in photos for prompt in PROMPTS]
    first = next(iter(WAYS))
    return [
        Drift(name, seconds[name], seconds[first] / seconds[name], mean_psnr(pipe, photos, way, exact))
        for name, way in WAYS.items()
    ]


def mean_psnr(pipe: Callable[..., Frames], photos: list[Image.Image], way: dict[str, Any], exact: list[Any]) -> float:
    """Mean PSNR over the clips of all frames but the first, the photo's own; infinite if equal."""
    clips = [pipe(photo, prompt, **way) for photo in photos for prompt in PROMPTS]
    errors = [
        float(np.square(clip[1:].astype(float) - true[1:]).mean()) for clip, true in zip(clips, exact, strict=True)
    ]
    return statistics.fmean(10 * np.log10(255**2 / error) if error else np.inf for error in errors)
