"""Converts any loadable checkpoint to this project's layout: safetensors, one codec, a DDIM schedule, a card."""

from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import torch
from typing_extensions import Unpack

from cinemo_core.checkpoint import Codec, load_parts, locate
from cinemo_spec.card import ModelCard
from cinemo_spec.errors import CheckpointError
from cinemo_spec.scale import MotionScale


class CardFields(TypedDict, total=False):
    """Fields of a converted checkpoint's card that override its source's; see `ModelCard`."""

    name: str
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    motion_scale: MotionScale


def convert(
    source: str | Path,
    target: Path,
    torch_dtype: torch.dtype | None = None,
    codec: Codec = "auto",
    unet_weights: str | Path | None = None,
    base: str | Path | None = None,
    **card: Unpack[CardFields],
) -> None:
    """Convert a checkpoint; an adapter becomes a full model, merged into its base.

    The card is written last, so a folder that has one is complete.

    Args:
        source: anything that `CinemoPipeline.from_pretrained` takes.
        target: a folder that is empty or does not exist yet.
        torch_dtype: of all weights; None keeps each as stored.
        codec: which of the source's image codecs to keep.
        unet_weights: a bare weight file that replaces the source's own for the UNet.
        base: of an adapter, if it is elsewhere than its card says.
        card: fields that override the source's card, or the published model's if it has none.

    Raises:
        CheckpointError: the source does not load, or the target is not empty.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CheckpointError(f"{target} is not empty; nothing is overwritten")
    folder = locate(source)
    described = replace(ModelCard.read(folder), base=None, **card)
    for name, part in load_parts(folder, torch_dtype, codec, unet_weights, base=base).items():
        part.save_pretrained(target / name)
    described.write(target)
