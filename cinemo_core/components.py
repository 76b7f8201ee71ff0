"""A pipeline's components, and what each does by itself: text encoding, latents, noise, motion bucket."""

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import asdict, replace
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderKLTemporalDecoder, DDIMScheduler, DiffusionPipeline
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer
from typing_extensions import Self, Unpack

from cinemo_core.checkpoint import (
    Codec,
    HubOptions,
    base_of,
    load_adapter,
    load_parts,
    locate,
    locate_base,
    pin,
    require_base,
)
from cinemo_core.checkpoint import revision as revision_of
from cinemo_core.codec import PatchCodec
from cinemo_core.dct import DCTInit, refine_noise
from cinemo_core.inputs import Prompt, check_tensor, prompts_of
from cinemo_core.latents import decode_latents, encode_frames
from cinemo_core.media import Frames
from cinemo_core.merging import Adapter, check_updates
from cinemo_core.motion_codec import MotionCodec
from cinemo_core.motion_latents import encode_motion, measured_flow
from cinemo_core.text import encode
from cinemo_core.unet import CinemoUNet
from cinemo_spec.card import ModelCard
from cinemo_spec.errors import InvalidParameter

UNKNOWN = "unknown"
"""Revision of what was not loaded from files."""
PUSH_OPTIONS = ("repo_id", "commit_message", "private", "create_pr", "token")
"""Arguments of diffusers' `push_to_hub`."""


class Components(DiffusionPipeline):
    """Networks, tokenizer, noise schedule and card of one model."""

    model_cpu_offload_seq = "text_encoder->unet->vae"

    def __init__(
        self,
        unet: CinemoUNet,
        vae: PatchCodec | MotionCodec | AutoencoderKL | AutoencoderKLTemporalDecoder,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        scheduler: DDIMScheduler,
        card: ModelCard | None = None,
    ) -> None:
        """Assemble a model; `card` defaults to the UNet's, or to the published model's."""
        super().__init__()
        self.register_modules(unet=unet, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler)
        self.card = card or unet.card or ModelCard("unnamed")
        self.adapters = unet.merged.adapters or ()
        self._read_revision: Callable[[], str] = lambda: UNKNOWN
        self._read_pin: Callable[[], str] | None = None

    @property
    def card(self) -> ModelCard:
        """Recommended settings: clip size, steps, guidance and motion scale."""
        return self._card

    @card.setter
    def card(self, card: ModelCard) -> None:
        # The card stays with its weights, whichever pipeline they are used in.
        self._card = self.unet.card = card

    def __setattr__(self, name: str, value: Any) -> None:
        """Like any pipeline, but require a DDIM scheduler, from which the other samplers are made by name."""
        if name == "scheduler" and not isinstance(value, DDIMScheduler):
            raise InvalidParameter(
                f"scheduler must be a DDIMScheduler, got {type(value).__name__}; to use another sampler, pass "
                "sampler='unipc' or 'dpm++' to a call"
            )
        super().__setattr__(name, value)

    @cached_property
    def revision(self) -> str:
        """Revision of all parts, see `checkpoint.revision`; the first access reads all their files."""
        return self._read_revision()

    @cached_property
    def pin(self) -> str:
        """Revision of the base, by which adapters know it; see `checkpoint.pin`."""
        return self._read_pin() if self._read_pin else self.revision

    @property
    def digest(self) -> str:
        """SHA-256 in hex of everything but the request that determines the frames: parts, adapters, card, schedule."""
        schedule = {name: value for name, value in self.scheduler.config.items() if not name.startswith("_")}
        adapters = [[adapter.revision, weight] for adapter, weight in self.adapters]
        facts = [self.revision, asdict(self.card), schedule, adapters]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        torch_dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        codec: Codec = "auto",
        unet_weights: str | Path | None = None,
        variant: str | None = None,
        base: str | Path | None = None,
        **hub: Unpack[HubOptions],
    ) -> Self:
        """Load `"tiny"`, a local folder or a hub repository such as `"maxin-cn/Cinemo"`; an adapter with its base.

        Args:
            name_or_path: what to load.
            torch_dtype: the networks' compute dtype.
            device: the networks' device.
            codec: which VAE to use if there are two; `auto` takes the one with the temporal decoder.
            unet_weights: a bare state dict, as training code saves it, that replaces the folder's own.
            variant: of the weights, such as `"fp16"`, for parts that have it; by default the plain ones, or if there
                are none, the only variant.
            base: of an adapter, if it is elsewhere than its card says; it must have the revision that the card says.
            hub: for a hub repository, `revision` (branch, tag or commit), `token`, `cache_dir` and `local_files_only`;
                all but `revision` also for the base of an adapter.

        Raises:
            CheckpointError: a part is missing, incompatible or damaged, or contains anything but tensors.
            TypeError: unknown argument.
        """
        require_known("from_pretrained", hub, HubOptions.__annotations__, cls.from_pretrained)
        if not isinstance(torch_dtype, torch.dtype):
            raise TypeError(f"torch_dtype must be a torch.dtype, got {torch_dtype!r}")
        folder = locate(name_or_path, variant, **hub)
        parts = load_parts(folder, torch_dtype, codec, unet_weights, variant, base, **hub)
        pipe = cls(**parts, card=ModelCard.read(folder))
        pipe._read_revision = partial(revision_of, folder, unet_weights, codec, variant)
        if base_of(folder) or codec != "auto":
            own = locate_base(folder, base, variant, **hub) if base_of(folder) else folder
            pipe._read_pin = partial(pin, own, unet_weights, variant)
        pipe.unet.to(memory_format=torch.channels_last)
        return pipe.to(device)

    def with_adapters(self, adapters: Iterable[tuple[Adapter | str | Path, float]]) -> Self:
        """A pipeline that shares all parts and applies further adapters, each with a weight, on top of its own.

        Any number of pipelines may share one UNet, which takes the adapters of the one that is running; they must not
        run at the same time.

        Args:
            adapters: folders or hub repositories, or what `load_adapter` made of them, of the same base.

        Raises:
            CheckpointError: an adapter does not load, or has another base.
        """
        loaded = [(load_adapter(each), weight) for each, weight in adapters]
        for adapter, _ in loaded:
            require_base(adapter, self.pin)
        check_updates(self.unet, [adapter for adapter, _ in loaded])
        made = copy(self)
        made.adapters = (*self.adapters, *loaded)
        return made

    def specialized(self, adapter: Adapter) -> Self:
        """The adapter as a model: a pipeline that shares all parts, with the adapter's weights, schedule and card.

        Raises:
            CheckpointError: the adapter has another base.
        """
        made = self.with_adapters([(adapter, 1.0)])
        made.scheduler = adapter.scheduler or made.scheduler
        made.revision = adapter.revision
        made._card = adapter.card
        return made

    def adapted_unet(self) -> CinemoUNet:
        """The UNet with this pipeline's adapters merged, and no others."""
        self.unet.merged.swap(self.unet, self.adapters)
        self.unet.card = self.card
        return self.unet

    def save_pretrained(
        self,
        save_directory: str | Path,
        safe_serialization: bool = True,
        variant: str | None = None,
        max_shard_size: int | str | None = None,
        push_to_hub: bool = False,
        **hub: Any,
    ) -> None:
        """Write all parts and the card, adapters merged, ready for `from_pretrained`; takes the arguments of diffusers.

        Raises:
            TypeError: an argument is neither one of these nor one of `push_to_hub`.
        """
        require_known("save_pretrained", hub, PUSH_OPTIONS if push_to_hub else (), self.save_pretrained)
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        # Before the parts: once they are written, `push_to_hub` uploads the folder.
        replace(self.card, base=None).write(folder)
        self.adapted_unet()
        super().save_pretrained(str(folder), safe_serialization, variant, max_shard_size, push_to_hub, **hub)

    def bucket(self, motion_intensity: float, motion_bucket_id: float | None = None) -> Tensor:
        """The motion bucket `(1,)`, on this model's scale unless given raw."""
        scaled = self.card.motion_scale.bucket(motion_intensity) if motion_bucket_id is None else motion_bucket_id
        return torch.tensor([float(scaled)], device=self._execution_device)

    def encode(self, frames: Frames, chunk: int, flow: Tensor | None = None) -> Tensor:
        """Latents `(1, c, f, h', w')`, float32, of frames `(f, h, w, 3)`; `flow` is what `flow_of` returned."""
        self.clear_device()
        device = self._execution_device
        if isinstance(self.vae, MotionCodec) and len(frames) > 1:
            latents = encode_motion(self.vae, frames, device, flow)
        else:
            latents = encode_frames(self.vae, frames, device, chunk)
        self.clear_device()
        return latents

    def flow_of(self, frames: Frames) -> Tensor | None:
        """Flow `(f, 2, h, w)` of frames `(f, h, w, 3)` back to the first, if the model's latents contain flow."""
        return measured_flow(frames, self._execution_device) if isinstance(self.vae, MotionCodec) else None

    def decode(self, latents: Tensor, chunk: int) -> Frames:
        """Frames `(f, h, w, 3)` of latents `(1, c, f, h', w')`."""
        self.clear_device()
        return decode_latents(self.vae, latents, chunk)

    def beginning(self, last: Tensor) -> Tensor:
        """The image latent `(1, c, 1, h', w')` of a clip that continues from the last latent of another."""
        return self.vae.at_rest(last) if isinstance(self.vae, MotionCodec) else last

    def clear_device(self) -> None:
        """Offload all parts: hooks only offload a part when the next runs, but the VAE also runs before the UNet."""
        for hook in getattr(self, "_all_hooks", ()):
            hook.offload()

    def encode_text(self, prompts: list[str]) -> Tensor:
        """Text states `(len(prompts), tokens, d)`; prompts beyond the encoder's length are encoded in chunks."""
        return encode(self.tokenizer, self.text_encoder, prompts, self._execution_device)

    def texts_of(
        self,
        clips: int,
        prompt: Prompt,
        negative_prompt: Prompt,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
    ) -> list[tuple[Tensor, Tensor]]:
        """Text states `(1, tokens, d)` of each clip's prompt and negative prompt.

        Raises:
            InvalidParameter: neither or both of a prompt and its states are given, or a shape is wrong.
        """
        if (prompt is None) == (prompt_embeds is None):
            raise InvalidParameter("exactly one of prompt and prompt_embeds is needed")
        width = self.unet.config.cross_attention_dim
        negatives = prompts_of("negative_prompt", "" if negative_prompt is None else negative_prompt, clips)
        if prompt_embeds is None:
            prompts = prompts_of("prompt", prompt, clips)
            made = {pair: self.encode_text([*pair]) for pair in zip(prompts, negatives, strict=True)}
            texts = [(made[pair][:1], made[pair][1:]) for pair in zip(prompts, negatives, strict=True)]
        else:
            text = check_tensor("prompt_embeds", prompt_embeds, (1, None, width)).to(self._execution_device)
            texts = [(text, self.encode_text([negative])) for negative in negatives]
        if negative_prompt_embeds is not None:
            negative = check_tensor("negative_prompt_embeds", negative_prompt_embeds, (1, None, width))
            texts = [(text, negative.to(self._execution_device)) for text, _ in texts]
        for text, negative in texts:
            check_tensor("negative_prompt_embeds", negative, (1, text.shape[1], width))
        return texts

    def initial_noise(
        self,
        image_latent: Tensor,
        frames: int,
        generator: torch.Generator,
        refinement: DCTInit | None,
        latents: Tensor | None = None,
    ) -> Tensor:
        """Noise `(1, c, frames, h, w)`, float32, drawn on the generator's device; on the CPU, the same everywhere.

        Raises:
            InvalidParameter: `latents`, which replace the drawn noise, have another shape.
        """
        batch, channels, _, height, width = image_latent.shape
        shape = (batch, channels, frames, height, width)
        if latents is None:
            noise = torch.randn(shape, generator=generator, device=generator.device)
        else:
            noise = check_tensor("latents", latents, shape)
        noise = noise.to(image_latent)
        return noise if refinement is None else refine_noise(noise, image_latent, self.scheduler, refinement)


def require_known(call: str, given: Iterable[str], known: Iterable[str], signature: Callable[..., Any]) -> None:
    """Raise `TypeError` for unknown keywords, and suggest the one that was probably meant."""
    known = set(known)
    for name in given:
        if name not in known:
            near = get_close_matches(name, known | inspect.signature(signature).parameters.keys(), 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}{hint}")
