"""From a training run to a checkpoint that `CinemoPipeline.from_pretrained` loads: averaged weights in float16."""

import shutil
from pathlib import Path
from typing import cast

import torch

from cinemo_core.checkpoint import ModelCard
from cinemo_core.motion import TRAINED_SCALE
from cinemo_core.training.loop import Networks, Run


def publish(run: Run, folder: Path) -> None:
    """Write the run's checkpoint and its log to a folder; what else lies there stays."""
    recipe = run.recipe
    networks = cast(Networks, run.average.module)
    networks.unet.to(torch.float16).save_pretrained(folder / "unet")
    networks.text_encoder.to(torch.float16).save_pretrained(folder / "text_encoder")
    run.codec.to(torch.float16).save_pretrained(folder / "vae")
    run.tokenizer.save_pretrained(folder / "tokenizer")
    run.scheduler.save_pretrained(folder / "scheduler")
    ModelCard(
        name=recipe.name,
        width=recipe.clips.width,
        height=recipe.clips.height,
        num_inference_steps=recipe.sampling.num_inference_steps,
        guidance_scale=recipe.sampling.guidance_scale,
        motion_scale=TRAINED_SCALE,
    ).write(folder)
    shutil.copy(run.folder / "log.jsonl", folder / "training_log.jsonl")
