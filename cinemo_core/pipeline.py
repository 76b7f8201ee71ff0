"""CinemoPipeline: an image and a sentence in, sixteen frames out, by diffusers' conventions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from einops import rearrange
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from cinemo_core.checkpoint import ModelCard, load_parts, locate, revision
from cinemo_core.dct import DCTInit, refine_noise
from cinemo_core.errors import InvalidParameter
from cinemo_core.media import prepare_image
from cinemo_core.residual import compose
from cinemo_core.sampling import Conditions, denoise
from cinemo_core.unet import CinemoUNet

FRAMES = 16
MAX_INTENSITY = 19

StepCallback = Callable[["CinemoPipeline", int, int, dict[str, Any]], dict[str, Any]]


class CinemoPipeline(DiffusionPipeline):
    """Animates a still image. Build it with `from_pretrained`."""

    model_cpu_offload_seq = "text_encoder->unet->vae"

    def __init__(
        self,
        unet: CinemoUNet,
        vae: Any,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        scheduler: DDIMScheduler,
        card: ModelCard = ModelCard("unnamed"),
        revision: str = "unknown",
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler)
        self.card = card
        self.revision = revision

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path, torch_dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
    ) -> "CinemoPipeline":
        """Load `"tiny"`, a local folder or a hub repository.

        Raises:
            CheckpointError: a part is missing or does not fit.
        """
        folder = locate(name_or_path)
        pipe = cls(**load_parts(folder, torch_dtype), card=ModelCard.read(folder), revision=revision(folder))
        pipe.unet.to(memory_format=torch.channels_last)
        return pipe.to(device)

    @torch.no_grad()
    def __call__(
        self,
        image: Image.Image,
        prompt: str,
        negative_prompt: str = "",
        motion_intensity: float = 10,
        seed: int = 0,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        noise_refinement: DCTInit | None = DCTInit(),
        motion_bucket_id: float | None = None,
        callback_on_step_end: StepCallback | None = None,
    ) -> NDArray[np.uint8]:
        """Animate an image.

        Args:
            image: any size and mode; turned upright and cropped to the model's aspect.
            prompt: what happens.
            negative_prompt: what guidance leads away from.
            motion_intensity: 0 (still) to 19 (strong), the same for every model.
            seed: 0..2^32-1; the same seed on the same device gives the same frames.
            num_inference_steps: denoising steps; the model's own number if not given.
            guidance_scale: 1 (none) and up; the model's own if not given.
            noise_refinement: DCTInit, or None for plain noise.
            motion_bucket_id: the raw bucket, in place of the intensity.
            callback_on_step_end: called as `(pipe, step, timestep, {"latents": residual})` after each step; may
                return a dictionary with other latents, and may raise to stop.

        Returns:
            uint8 frames `(16, h, w, 3)`, the first of which is the input image's own pixels.

        Raises:
            InvalidParameter: a number is out of its range.
        """
        steps = self.card.num_inference_steps if num_inference_steps is None else num_inference_steps
        guidance = self.card.guidance_scale if guidance_scale is None else guidance_scale
        check_ranges(motion_intensity, seed, steps, guidance, self.scheduler.config.num_train_timesteps)
        bucket = self.card.motion_scale.bucket(motion_intensity) if motion_bucket_id is None else motion_bucket_id

        still = prepare_image(image, self.card.width, self.card.height)
        image_latent = self.encode_image(still)
        text, negative_text = self.encode_text([prompt, negative_prompt]).chunk(2)
        given = Conditions(
            image_latent, text, negative_text, torch.tensor([float(bucket)], device=image_latent.device), guidance
        )
        noise = self.initial_noise(image_latent, seed, noise_refinement)
        with self.progress_bar(total=steps) as bar:

            def on_step(index: int, timestep: int, residual: Tensor) -> Tensor:
                bar.update()
                if callback_on_step_end is None:
                    return residual
                return callback_on_step_end(self, index, timestep, {"latents": residual}).get("latents", residual)

            residual = denoise(self.unet, self.scheduler, noise, given, steps, on_step)
        frames = self.decode(compose(image_latent, residual))
        frames[0] = np.asarray(still)
        self.maybe_free_model_hooks()
        return frames

    def encode_image(self, image: Image.Image) -> Tensor:
        """The latent `(1, c, 1, h, w)` of a prepared RGB image."""
        pixels = torch.from_numpy(np.asarray(image).copy()).to(self.vae.device, self.vae.dtype) / 127.5 - 1
        latent = self.vae.encode(rearrange(pixels, "h w c -> 1 c h w")).latent_dist.mode()
        return rearrange(latent * self.vae.config.scaling_factor, "b c h w -> b c 1 h w")

    def encode_text(self, prompts: list[str]) -> Tensor:
        """Text states `(len(prompts), tokens, d)`; what is longer than the encoder reads is cut."""
        tokens = self.tokenizer(
            prompts,
            padding="max_length",
            truncation=True,
            max_length=self.text_encoder.config.max_position_embeddings,
            return_tensors="pt",
        )
        states: Tensor = self.text_encoder(tokens.input_ids.to(self.text_encoder.device)).last_hidden_state
        return states

    def initial_noise(self, image_latent: Tensor, seed: int, refinement: DCTInit | None) -> Tensor:
        """Seeded noise `(1, c, 15, h, w)`, drawn on the CPU so that it is the same on every device."""
        batch, channels, _, height, width = image_latent.shape
        noise = torch.randn(
            (batch, channels, FRAMES - 1, height, width), generator=torch.Generator().manual_seed(seed)
        ).to(image_latent.device)
        if refinement is not None:
            noise = refine_noise(noise, image_latent.float(), self.scheduler, refinement.cutoff, refinement.noise_level)
        return noise.to(image_latent.dtype)

    def decode(self, latents: Tensor) -> NDArray[np.uint8]:
        """Clip latents `(1, c, f, h, w)` to uint8 frames `(f, h', w', 3)`."""
        frames = rearrange(latents, "1 c f h w -> f c h w") / self.vae.config.scaling_factor
        arguments = {"num_frames": len(frames)} if hasattr(self.vae, "temporal_decoder") else {}
        pixels = self.vae.decode(frames.to(self.vae.dtype), **arguments).sample
        pixels = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return rearrange(pixels, "f c h w -> f h w c").cpu().numpy()


def check_ranges(motion_intensity: float, seed: int, steps: int, guidance_scale: float, most_steps: int) -> None:
    """Raise `InvalidParameter` for the first number out of its range."""
    ranges = {
        "motion_intensity": (motion_intensity, 0, MAX_INTENSITY),
        "seed": (seed, 0, 2**32 - 1),
        "num_inference_steps": (steps, 1, most_steps),
        "guidance_scale": (guidance_scale, 1, 100),
    }
    for name, (value, least, most) in ranges.items():
        if not least <= value <= most:
            raise InvalidParameter(f"{name} must be from {least} to {most}, got {value}")
