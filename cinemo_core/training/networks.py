"""The trained parts (a base model's UNet, optionally its text encoder, or LoRA weights) and the frozen ones."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import peft
import torch
from diffusers import DDIMScheduler
from diffusers.training_utils import EMAModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import CLIPTextModel, CLIPTokenizer

from cinemo_core.checkpoint import load_parts, locate, revision, weights_revision
from cinemo_core.layers import ResnetBlock, VideoTransformer
from cinemo_core.merging import Weighted
from cinemo_core.unet import CinemoUNet
from cinemo_spec.card import Base, ModelCard
from cinemo_spec.training import LoraConfig, TrainConfig

LORA_TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


class Networks(nn.Module):
    """Text encoder and UNet as one, so that data parallelism sees one forward pass."""

    def __init__(self, unet: CinemoUNet, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet = unet
        self.text_encoder = text_encoder

    def forward(
        self, noised: Tensor, timesteps: Tensor, tokens: Tensor, image_latent: Tensor, buckets: Tensor
    ) -> Tensor:
        """The UNet's prediction `(b, c, f, h, w)` for token ids `(b, tokens)`; the rest as in `CinemoUNet.forward`."""
        text = self.text_encoder(tokens).last_hidden_state
        prediction: Tensor = self.unet(noised, timesteps, text, image_latent, buckets)
        return prediction


@dataclass(frozen=True)
class Teacher:
    """The model that is distilled, as it was; its card has the guidance that the student learns to do without.

    `unet` is None where the student is the teacher with low-rank updates, and is the teacher again without them.
    """

    unet: CinemoUNet | None
    scheduler: DDIMScheduler
    card: ModelCard


@dataclass
class Model:
    """A model in training: its parts, and the moving average of the trained weights.

    `scheduler` and `card` are those of the model that is published; `teacher` is what a distillation starts from.
    """

    networks: Networks
    vae: Any
    tokenizer: CLIPTokenizer
    scheduler: DDIMScheduler
    card: ModelCard
    base: Base
    """Of adapters; of a base model that is one itself, its base."""
    adapters: Weighted
    """What is merged into that base: the base model's own adapter, if it is one."""
    base_revision: str
    base_weights: str
    average: EMAModel
    teacher: Teacher | None = None

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by name."""
        return {name: value for name, value in self.networks.named_parameters() if value.requires_grad}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Use the averaged weights within the context; nothing is copied."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for parameter, shadow in zip(self.trained().values(), self.average.shadow_params, strict=True):
            parameter.data, shadow.data = shadow.data, parameter.data

    @contextmanager
    def as_teacher(self) -> Iterator[Networks]:
        """The teacher's networks, for as long as the context lasts."""
        assert self.teacher is not None
        if self.teacher.unet is not None:
            yield Networks(self.teacher.unet, self.networks.text_encoder)
            return
        enable_lora(self.networks.unet, False)
        try:
            yield self.networks
        finally:
            enable_lora(self.networks.unet, True)


def build(config: TrainConfig, base: str | Path, device: torch.device) -> Model:
    """Load a base model and prepare what the configuration trains.

    Raises:
        CheckpointError: the base model does not load.
    """
    folder = locate(base)
    parts = load_parts(folder, torch.float32)
    card, made = ModelCard.read(folder), revision(folder)
    adapters = parts["unet"].merged.adapters
    parts["unet"].merged.keep()
    networks = Networks(parts["unet"].to(memory_format=torch.channels_last), parts["text_encoder"])
    networks.requires_grad_(False)
    if config.lora:
        torch.manual_seed(config.seed)
        add_lora(networks.unet, config.lora)
    else:
        networks.unet.requires_grad_(True)
        networks.text_encoder.requires_grad_(config.train_text_encoder)
    if config.gradient_checkpointing:
        checkpoint_activations(networks.unet)
    networks.to(device)
    if config.objective.prediction_type:
        parts["scheduler"].register_to_config(prediction_type=config.objective.prediction_type)
    trained = [value for value in networks.parameters() if value.requires_grad]
    teacher = None
    if config.method == "distill":
        teacher = make_teacher(config, networks.unet, parts["scheduler"], card)
        parts["scheduler"].register_to_config(timestep_spacing="trailing")
        card = replace(card, num_inference_steps=config.distillation.steps, guidance_scale=1.0)
    return Model(
        networks,
        parts["vae"].to(device).requires_grad_(False),
        parts["tokenizer"],
        parts["scheduler"],
        card,
        card.base or Base(config.base_model, made),
        adapters,
        made,
        weights_revision(folder),
        EMAModel(trained, decay=config.ema_decay, foreach=True),
        teacher,
    )


def make_teacher(config: TrainConfig, unet: CinemoUNet, scheduler: DDIMScheduler, card: ModelCard) -> Teacher:
    """What is distilled, kept as it is before training; raises `InvalidParameter` if there is nothing to distil."""
    config.check_teacher(card.num_inference_steps, card.guidance_scale)
    wanted = config.distillation.guidance_scale
    guidance_scale = card.guidance_scale if wanted is None else wanted
    frozen = None if config.lora else copy.deepcopy(unet).requires_grad_(False)
    return Teacher(frozen, DDIMScheduler.from_config(scheduler.config), replace(card, guidance_scale=guidance_scale))


def enable_lora(unet: CinemoUNet, enabled: bool) -> None:
    """Let the LoRA weights count, or not."""
    for module in unet.modules():
        if isinstance(module, LoraLayer):
            module.enable_adapters(enabled)


def add_lora(unet: CinemoUNet, config: LoraConfig) -> None:
    """Add LoRA weights, initially zero, to every attention projection; only they are trained."""
    peft.inject_adapter_in_model(peft_config(config), unet)


def peft_config(config: LoraConfig) -> peft.LoraConfig:
    """The configuration in peft's terms."""
    return peft.LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=LORA_TARGETS)


def checkpoint_activations(unet: CinemoUNet) -> None:
    """Enable gradient checkpointing: recompute each block in the backward pass (arXiv 1604.06174)."""
    for module in unet.modules():
        if isinstance(module, ResnetBlock | VideoTransformer):
            module.forward = partial(checkpoint, module.forward, use_reentrant=False)  # type: ignore[method-assign]
