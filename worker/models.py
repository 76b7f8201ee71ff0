"""Loaded pipelines: each model is read once a process and stays."""

from functools import cache

import structlog
import torch

from cinemo_core import CinemoPipeline
from service.settings import Settings

log = structlog.get_logger()


@cache
def load_pipeline(name: str, device: str, torch_dtype: str) -> CinemoPipeline:
    """The pipeline of a model; raises `CheckpointError` where it cannot be loaded."""
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    pipe = CinemoPipeline.from_pretrained(name, torch_dtype=getattr(torch, torch_dtype), device=place)
    pipe.set_progress_bar_config(disable=True)
    log.info("model loaded", model=name, revision=pipe.revision, device=place)
    return pipe


def serving_pipeline(settings: Settings) -> CinemoPipeline:
    """The pipeline that the settings name."""
    return load_pipeline(settings.model, settings.device, settings.torch_dtype)
