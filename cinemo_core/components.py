"""What a pipeline is made of, and what each part does by itself: text, latents, noise, motion bucket."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self, Unpack

import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from cinemo_core.checkpoint import Codec, HubOptions, ModelCard, load_parts, locate
from cinemo_core.checkpoint import revision as revision_of
from cinemo_core.dct import DCTInit, refine_noise
from cinemo_core.latents import decode_latents, encode_frames
from cinemo_core.media import Frames
from cinemo_core.motion_codec import MotionCodec
from cinemo_core.motion_latents import encode_motion, measured_flow
from cinemo_core.text import tokenize
from cinemo_core.unet import CinemoUNet


class Components(DiffusionPipeline):
    """Networks, tokenizer, noise schedule and card of one model."""

    model_cpu_offload_seq = "text_encoder->unet->vae"

    def __init__(
        self,
        unet: CinemoUNet,
        vae: Any,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        scheduler: DDIMScheduler,
        card: ModelCard = ModelCard("unnamed"),
        tell_revision: Callable[[], str] = lambda: "unknown",
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler)
        self.card = card
        self._tell_revision = tell_revision

    @cached_property
    def revision(self) -> str:
        """Of all parts, see `checkpoint.revision`; all of their files are read when it is first asked for."""
        return self._tell_revision()

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of all that frames follow from beside the request: parts, card, noise schedule."""
        schedule = {name: value for name, value in self.scheduler.config.items() if not name.startswith("_")}
        facts = [self.revision, asdict(self.card), schedule]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        torch_dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        codec: Codec = "auto",
        unet_weights: str | Path | None = None,
        **hub: Unpack[HubOptions],
    ) -> Self:
        """Load `"tiny"`, a local folder or a hub repository such as `"maxin-cn/Cinemo"`.

        Args:
            name_or_path: what to load.
            torch_dtype: what the networks compute in.
            device: where they do.
            codec: which VAE, where there are two; `auto` takes the one with the temporal decoder.
            unet_weights: a bare state dict in place of the folder's own, as training code saves it.
            hub: `revision` (branch, tag or commit), `token`, `cache_dir` and `local_files_only`, of a hub repository.

        Raises:
            CheckpointError: a part is missing, does not fit, is damaged, or holds anything but tensors.
        """
        folder = locate(name_or_path, **hub)
        pipe = cls(
            **load_parts(folder, torch_dtype, codec, unet_weights),
            card=ModelCard.read(folder),
            tell_revision=partial(revision_of, folder, unet_weights, codec),
        )
        pipe.unet.to(memory_format=torch.channels_last)
        return pipe.to(device)

    def save_pretrained(self, save_directory: str | Path, *args: Any, **kwargs: Any) -> None:
        """Write all parts and the card, as `from_pretrained` loads them; the arguments are those of diffusers."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        # Before the parts, since `push_to_hub` sends what lies there once they are written.
        self.card.write(folder)
        super().save_pretrained(str(folder), *args, **kwargs)

    def bucket(self, motion_intensity: float, motion_bucket_id: float | None = None) -> Tensor:
        """The motion bucket `(1,)`, on the scale of this model's weights unless it is given raw."""
        scaled = self.card.motion_scale.bucket(motion_intensity) if motion_bucket_id is None else motion_bucket_id
        return torch.tensor([float(scaled)], device=self._execution_device)

    def encode(self, frames: Frames, chunk: int, flow: Tensor | None = None) -> Tensor:
        """Latents `(1, c, f, h', w')`, float32, of frames `(f, h, w, 3)`; `flow` is what `flow_of` says of them."""
        self.clear_device()
        device = self._execution_device
        if isinstance(self.vae, MotionCodec) and len(frames) > 1:
            latents = encode_motion(self.vae, frames, device, flow)
        else:
            latents = encode_frames(self.vae, frames, device, chunk)
        self.clear_device()
        return latents

    def flow_of(self, frames: Frames) -> Tensor | None:
        """Flow `(f, 2, h, w)` of frames `(f, h, w, 3)` back to the first, where the model's latents hold it."""
        return measured_flow(frames, self._execution_device) if isinstance(self.vae, MotionCodec) else None

    def decode(self, latents: Tensor, chunk: int) -> Frames:
        """Frames `(f, h, w, 3)` of latents `(1, c, f, h', w')`."""
        self.clear_device()
        return decode_latents(self.vae, latents, chunk)

    def beginning(self, last: Tensor) -> Tensor:
        """The image latent `(1, c, 1, h', w')` of a clip that goes on from the last one of another."""
        return self.vae.at_rest(last) if isinstance(self.vae, MotionCodec) else last

    def clear_device(self) -> None:
        """Send offloaded parts away; by itself each sends the one before it, and the VAE works before the UNet, too."""
        for hook in getattr(self, "_all_hooks", ()):
            hook.offload()

    def encode_text(self, prompts: list[str]) -> Tensor:
        """Text states `(len(prompts), tokens, d)`; what is longer than the encoder reads is cut."""
        tokens = tokenize(self.tokenizer, self.text_encoder, prompts).to(self._execution_device)
        states: Tensor = self.text_encoder(tokens).last_hidden_state
        return states

    def initial_noise(
        self, image_latent: Tensor, frames: int, generator: torch.Generator, refinement: DCTInit | None
    ) -> Tensor:
        """Noise `(1, c, frames, h, w)`, drawn on the CPU so that it is the same on every device."""
        batch, channels, _, height, width = image_latent.shape
        noise = torch.randn((batch, channels, frames, height, width), generator=generator).to(image_latent.device)
        if refinement is None:
            return noise
        return refine_noise(noise, image_latent, self.scheduler, refinement)
