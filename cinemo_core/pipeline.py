"""CinemoPipeline: an image and a sentence in, frames out; or a video's motion given to another first frame.

By the conventions of diffusers. What happens to tensors stands in `sampling.py`, files and pictures in `media.py`.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from cinemo_core.checkpoint import Codec, HubOptions, ModelCard, load_parts, locate
from cinemo_core.checkpoint import revision as weights_revision
from cinemo_core.dct import DCTInit, refine_noise
from cinemo_core.errors import InvalidVideo
from cinemo_core.latents import decode_latents, encode_frames
from cinemo_core.media import Fit, Frames, prepare_image
from cinemo_core.memory import ends_turns, tells_out_of_memory
from cinemo_core.motion import motion_score
from cinemo_core.parameters import RANGES, check_ranges
from cinemo_core.residual import compose, split_residual
from cinemo_core.samplers import SamplerName, make_sampler
from cinemo_core.sampling import Conditions, OnStep, denoise, invert
from cinemo_core.text import tokenize
from cinemo_core.unet import CinemoUNet

FRAMES = 16

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
        tell_revision: Callable[[], str] = lambda: "unknown",
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler)
        self.card = card
        self._tell_revision = tell_revision

    @cached_property
    def revision(self) -> str:
        """Of the weights, see `checkpoint.revision`; all of their files are read when it is first asked for."""
        return self._tell_revision()

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal of all that frames follow from beside the request: weights, card, noise schedule."""
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
    ) -> "CinemoPipeline":
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
            tell_revision=partial(weights_revision, folder, unet_weights, codec),
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

    @tells_out_of_memory
    @ends_turns
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
        *,
        width: int | None = None,
        height: int | None = None,
        fit: Fit = "crop",
        num_frames: int = FRAMES,
        clips: int = 1,
        sampler: SamplerName = "ddim",
        cache_interval: int = 1,
        decode_chunk_frames: int = FRAMES,
    ) -> Frames:
        """Animate an image.

        Args:
            image: any size and mode; turned upright.
            prompt: what happens.
            negative_prompt: what guidance leads away from.
            motion_intensity: 0 (still) to 19 (strong), the same for every model.
            seed: 0..2^32-1; the same seed on the same device gives the same frames.
            num_inference_steps: denoising steps, 1..500; the model's own number if not given.
            guidance_scale: 1 (none) and up; the model's own if not given.
            noise_refinement: DCTInit, or None for plain noise.
            motion_bucket_id: the raw bucket, 0..1000, in place of the intensity.
            callback_on_step_end: called as `(pipe, step, timestep, {"latents": residual})` after each step; may
                return a dictionary with other latents, and may raise to stop.
            width: of the video in pixels, 16..2048, a multiple of 8; the model's own if not given.
            height: likewise.
            fit: `crop` fills the frame and cuts what stands over, `pad` keeps the whole picture between black bars.
            num_frames: frames of a clip, 8..32.
            clips: how many clips follow each other, each from the last frame of the one before, 1..16.
            sampler: `ddim` is exact; `unipc` and `dpm++` need fewer steps.
            cache_interval: 1 is exact; above, deep features are computed in every so many steps only.
            decode_chunk_frames: how many frames the VAE decodes at once: fewer need less memory.

        Returns:
            uint8 frames `(1 + clips * (num_frames - 1), h, w, 3)`, the first of which is the input image's own pixels.

        Raises:
            InvalidImage: the picture is truncated or damaged.
            InvalidParameter: a number is out of its range.
            NumbersOverflowed: the networks left the range of their dtype.
            OutOfMemory: the message says what to lower.
        """
        steps = self.card.num_inference_steps if num_inference_steps is None else num_inference_steps
        guidance = self.card.guidance_scale if guidance_scale is None else guidance_scale
        width, height = self.size(width, height)
        check_ranges(
            motion_intensity=motion_intensity,
            seed=seed,
            num_inference_steps=steps,
            guidance_scale=guidance,
            width=width,
            height=height,
            num_frames=num_frames,
            clips=clips,
            cache_interval=cache_interval,
            decode_chunk_frames=decode_chunk_frames,
        )
        if motion_bucket_id is not None:
            check_ranges(motion_bucket_id=motion_bucket_id)
        scheduler = make_sampler(sampler, self.scheduler)
        still = np.asarray(prepare_image(image, width, height, fit))
        text, negative_text = self.encode_text([prompt, negative_prompt]).chunk(2)
        bucket = self.bucket(motion_intensity, motion_bucket_id)
        film = self.encode(still[None], decode_chunk_frames)
        generator = torch.Generator().manual_seed(seed)
        with self.progress_bar(total=steps * clips) as bar:
            on_step = self.step_reporter(bar, callback_on_step_end)
            for _ in range(clips):
                image_latent = film[:, :, -1:]
                given = Conditions(image_latent, text, negative_text, bucket, guidance)
                noise = self.initial_noise(image_latent, num_frames - 1, generator, noise_refinement)
                residual = denoise(self.unet, scheduler, noise, given, steps, on_step, cache_interval)
                film = torch.cat((film, compose(image_latent, residual)[:, :, 1:]), dim=2)
        frames = self.decode(film, decode_chunk_frames)
        frames[0] = still
        return frames

    @tells_out_of_memory
    @ends_turns
    @torch.no_grad()
    def edit(
        self,
        video: Frames,
        edited_first_frame: Image.Image,
        prompt: str = "",
        motion_intensity: float | None = None,
        num_inference_steps: int = 50,
        callback_on_step_end: StepCallback | None = None,
        *,
        width: int | None = None,
        height: int | None = None,
        fit: Fit = "crop",
        decode_chunk_frames: int = FRAMES,
    ) -> Frames:
        """Give a video's motion to another first frame: the edited one of the same video, or another picture.

        The source's residuals are inverted to the noise that they come from (DDIM inversion), and the edited frame is
        animated from that noise without guidance (arXiv 2407.15642, section 4.4).

        Args:
            video: uint8 frames `(f, h, w, 3)`, 8..32 of them.
            edited_first_frame: any size and mode.
            prompt: what happens in both; may be empty, as the noise carries the motion.
            motion_intensity: 0..19; measured from the video if not given.
            num_inference_steps: of the inversion and again of the animation, 1..500; few of them invert badly.
            callback_on_step_end: as in a call; sees twice as many steps.
            width: as in a call; video and frame are brought to it alike.
            height: likewise.
            fit: likewise.
            decode_chunk_frames: likewise.

        Returns:
            uint8 frames `(f, h, w, 3)`, the first of which is the edited frame's own pixels.

        Raises:
            InvalidVideo: not uint8 frames, or too few or too many of them.
            InvalidImage: the edited frame is truncated or damaged.
            InvalidParameter: a number is out of its range.
            NumbersOverflowed: the networks left the range of their dtype.
            OutOfMemory: the message says what to lower.
        """
        shaped = video.ndim == 4 and video.shape[-1] == 3 and RANGES["num_frames"].holds(len(video))
        if not shaped or video.dtype != np.uint8:
            expected = f"uint8 frames (f, h, w, 3), f {RANGES['num_frames']}"
            raise InvalidVideo(f"expected {expected}, got {video.dtype} {video.shape}")
        width, height = self.size(width, height)
        steps = num_inference_steps
        check_ranges(num_inference_steps=steps, width=width, height=height, decode_chunk_frames=decode_chunk_frames)
        source_frames = np.stack(
            [np.asarray(prepare_image(Image.fromarray(frame), width, height, fit)) for frame in video]
        )
        still = np.asarray(prepare_image(edited_first_frame, width, height, fit))
        if motion_intensity is None:
            motion_intensity = self.card.motion_scale.intensity_of(motion_score(source_frames))
        check_ranges(motion_intensity=motion_intensity)
        text, bucket = self.encode_text([prompt]), self.bucket(motion_intensity)
        source_latent, residual = split_residual(self.encode(source_frames, decode_chunk_frames))
        image_latent = self.encode(still[None], decode_chunk_frames)
        with self.progress_bar(total=2 * steps) as bar:
            on_step = self.step_reporter(bar, callback_on_step_end)
            source = Conditions(source_latent, text, text, bucket, guidance_scale=1)
            noise = invert(self.unet, self.scheduler, residual, source, steps, on_step)
            target = replace(source, image_latent=image_latent)
            residual = denoise(self.unet, self.scheduler, noise, target, steps, on_step)
        frames = self.decode(compose(image_latent, residual), decode_chunk_frames)
        frames[0] = still
        return frames

    def size(self, width: int | None, height: int | None) -> tuple[int, int]:
        """Width and height in pixels, the model's own where they are not given."""
        return self.card.width if width is None else width, self.card.height if height is None else height

    def step_reporter(self, bar: Any, callback: StepCallback | None) -> OnStep:
        """What is done after each step: the bar moves, the callback is asked. Counts over all clips."""
        steps = count()

        def on_step(_: int, timestep: int, residual: Tensor) -> Tensor:
            bar.update()
            if callback is None:
                return residual
            return callback(self, next(steps), timestep, {"latents": residual}).get("latents", residual)

        return on_step

    def bucket(self, motion_intensity: float, motion_bucket_id: float | None = None) -> Tensor:
        """The motion bucket `(1,)`, on the scale of this model's weights unless it is given raw."""
        scaled = self.card.motion_scale.bucket(motion_intensity) if motion_bucket_id is None else motion_bucket_id
        return torch.tensor([float(scaled)], device=self._execution_device)

    def encode(self, frames: Frames, chunk: int) -> Tensor:
        """Latents `(1, c, f, h', w')`, float32, of frames `(f, h, w, 3)`."""
        self.clear_device()
        latents = encode_frames(self.vae, frames, self._execution_device, chunk)
        self.clear_device()
        return latents

    def decode(self, latents: Tensor, chunk: int) -> Frames:
        """Frames `(f, h, w, 3)` of latents `(1, c, f, h', w')`."""
        self.clear_device()
        return decode_latents(self.vae, latents, chunk)

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
