"""CinemoPipeline: animates an image by a prompt, or applies a video's motion to another first frame.

Follows the conventions of diffusers. Tensors are handled in `sampling.py`, pictures in `media.py`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cinemo_core.arguments import as_declared
from cinemo_core.components import Components
from cinemo_core.dct import DCTInit, refine_noise
from cinemo_core.film import Film
from cinemo_core.inputs import Picture, Prompt, generator_of, picture_of, prompts_of
from cinemo_core.media import Frames, fit_image, flat_image, prepare_frame, resized
from cinemo_core.motion import motion_score
from cinemo_core.motion_codec import MotionCodec
from cinemo_core.motion_latents import decode_motion
from cinemo_core.output import Clip, developed, whole
from cinemo_core.preview import preview_frames
from cinemo_core.residual import compose, split_residual
from cinemo_core.samplers import make_sampler
from cinemo_core.sampling import Conditions, OnStep, denoise, invert
from cinemo_spec.errors import InvalidParameter, InvalidVideo
from cinemo_spec.formats import Detail, Size, Sizes, default_factor, model_size, video_size
from cinemo_spec.parameters import (
    ANIMATE,
    DECODING,
    EDIT,
    AnimateParameters,
    DecodingParameters,
    EditParameters,
    FirstFrame,
    Fit,
    SamplerName,
)
from cinemo_spec.ranges import RANGES, check_factor, check_first_frame, check_sides

StepCallback = Callable[["CinemoPipeline", int, int, dict[str, Any]], dict[str, Any] | None]


class CinemoPipeline(Components):
    """Animates a still image. Build it with `from_pretrained`."""

    @as_declared(AnimateParameters, DecodingParameters)
    def animated(
        self,
        image: Picture,
        prompt: Prompt = None,
        negative_prompt: Prompt = ANIMATE.negative_prompt,
        motion_intensity: float = ANIMATE.motion_intensity,
        seed: int = ANIMATE.seed,
        num_inference_steps: int | None = ANIMATE.num_inference_steps,
        guidance_scale: float | None = ANIMATE.guidance_scale,
        noise_refinement: DCTInit | None = DCTInit(),
        motion_bucket_id: float | None = ANIMATE.motion_bucket_id,
        callback_on_step_end: StepCallback | None = None,
        *,
        detail: Detail = ANIMATE.detail,
        width: int | None = ANIMATE.width,
        height: int | None = ANIMATE.height,
        fit: Fit = ANIMATE.fit,
        frame_rate_factor: int | None = ANIMATE.frame_rate_factor,
        num_frames: int = ANIMATE.frames,
        clips: int = ANIMATE.clips,
        sampler: SamplerName = ANIMATE.sampler,
        cache_interval: int = ANIMATE.cache_interval,
        decode_chunk_frames: int = DECODING.decode_chunk_frames,
        first_frame: FirstFrame = ANIMATE.first_frame,
        guidance_rescale: float = ANIMATE.guidance_rescale,
        generator: torch.Generator | None = None,
        latents: Tensor | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
    ) -> Clip:
        """Animate an image: `pipe(…)` returns an array of frames, `pipe.film(…)` composes them one by one.

        A call makes one film; lists of images or seeds are rejected. `pipe(…)` also takes `output_type`: `np`, `pil`,
        or `latent` for latents `(1, c, f, h', w')`, starting with the image's, which `pipe.decode` decodes to frames.

        Args:
            image: of any size and mode; rotated upright. May be a path or a uint8 array `(h, w, 3)`.
            prompt: what should happen, of any length; a list has one text per clip, as may the negative prompt.
            noise_refinement: DCTInit, or None for plain noise.
            callback_on_step_end: called as `(pipe, step, timestep, {"latents": residual, "preview": preview})` after
                each step; `preview()` returns a few small frames `(f, h, w, 3)` uint8 of the video as it is predicted
                then. May return a dictionary with other latents, or nothing, and may raise to stop.
            generator: for the noise, in place of the seed.
            latents: the noise itself, `(1, c, num_frames - 1, h', w')`, of a single clip; refined like any other.
            prompt_embeds: text states `(1, tokens, d)` from `pipe.encode_text`, in place of the prompt.
            negative_prompt_embeds: likewise.

        Returns:
            `1 + frame_rate_factor * clips * (num_frames - 1)` uint8 frames `(h, w, 3)`, the first of which has the
            input image's own pixels unless `first_frame` is `decoded`.

        Raises:
            InvalidImage: the picture is truncated or damaged.
            InvalidParameter: a number is out of its range.
            NumbersOverflowed: the networks left the range of their dtype.
            OutOfMemory: the message says what to lower.
        """
        steps = self.card.num_inference_steps if num_inference_steps is None else num_inference_steps
        guidance = self.card.guidance_scale if guidance_scale is None else guidance_scale
        factor = default_factor(detail) if frame_rate_factor is None else frame_rate_factor
        photo = flat_image(picture_of(image))
        sizes = self.sizes(photo.size, width, height, detail)
        check_factor(detail, factor)
        check_first_frame(detail, first_frame)
        if latents is not None and clips > 1:
            raise InvalidParameter(f"latents are the noise of a single clip, got clips={clips}")
        drawn = generator_of(generator, seed)
        scheduler = make_sampler(sampler, self.scheduler)
        texts = self.texts_of(clips, prompt, negative_prompt, prompt_embeds, negative_prompt_embeds)
        full = fit_image(photo, sizes.video, fit)
        still = resized(full, sizes.model)
        bucket = self.bucket(motion_intensity, motion_bucket_id)
        clip = self.encode(still[None], decode_chunk_frames)
        with self.progress_bar(total=steps * clips) as bar:
            reporter = StepReporter(self, bar, callback_on_step_end)
            for text, negative_text in texts:
                image_latent = self.beginning(clip[:, :, -1:])
                on_step = reporter.predicting(clip, image_latent, still, num_frames - 1)
                given = Conditions(image_latent, text, negative_text, bucket, guidance, guidance_rescale)
                noise = self.initial_noise(image_latent, num_frames - 1, drawn, noise_refinement, latents)
                residual = denoise(self.adapted_unet(), scheduler, noise, given, steps, on_step, cache_interval)
                clip = continued(clip, image_latent, residual)
        developed = full if detail == "photo" else None
        return Clip(clip, still, developed, factor, num_frames - 1, decode_chunk_frames, first_frame)

    film = developed(animated)
    __call__ = whole(animated)

    @as_declared(EditParameters, DecodingParameters)
    def edited(
        self,
        video: Frames,
        edited_first_frame: Picture,
        prompt: str = "",
        motion_intensity: float | None = EDIT.motion_intensity,
        num_inference_steps: int | None = EDIT.num_inference_steps,
        callback_on_step_end: StepCallback | None = None,
        *,
        detail: Detail = EDIT.detail,
        width: int | None = EDIT.width,
        height: int | None = EDIT.height,
        fit: Fit = EDIT.fit,
        frame_rate_factor: int | None = EDIT.frame_rate_factor,
        decode_chunk_frames: int = DECODING.decode_chunk_frames,
        source_prompt: str | None = EDIT.source_prompt,
        motion_bucket_id: float | None = EDIT.motion_bucket_id,
        noise_refinement: DCTInit | None = None,
        first_frame: FirstFrame = EDIT.first_frame,
    ) -> Clip:
        """Apply a video's motion to another first frame: that of the same video, edited, or any picture.

        `pipe.edit(…)` returns an array of frames, `pipe.edit_film(…)` composes them one by one.

        The source's residuals are inverted to noise (DDIM inversion), and the edited frame is animated from that noise
        without guidance (arXiv 2407.15642, section 4.4). A model whose latents contain flow uses the source's measured
        flow instead, and takes only the light from the animation.

        Args:
            video: 8 to 32 uint8 frames `(f, h, w, 3)`, fitted to the edited frame's aspect ratio.
            edited_first_frame: of any size and mode. May be a path or a uint8 array `(h, w, 3)`.
            prompt: what happens; may be empty, as the noise carries the motion.
            callback_on_step_end: as for a call, with twice as many steps; those of the inversion have no `preview`.
            noise_refinement: DCTInit of the inverted noise with the edited frame, an option of the published script;
                None keeps the noise as inverted.

        Returns:
            `1 + frame_rate_factor * (f - 1)` uint8 frames `(h, w, 3)`, the first of which has the edited frame's own
            pixels unless `first_frame` is `decoded`.

        Raises:
            InvalidVideo: not uint8 frames, or too few or too many of them.
            InvalidImage: the edited frame is truncated or damaged.
            InvalidParameter: a number is out of its range.
            NumbersOverflowed: the networks left the range of their dtype.
            OutOfMemory: the message says what to lower.
        """
        shaped = video.ndim == 4 and video.shape[-1] == 3 and RANGES["frames"].holds(len(video))
        if not shaped or video.dtype != np.uint8:
            expected = f"uint8 frames (f, h, w, 3), f {RANGES['frames']}"
            raise InvalidVideo(f"expected {expected}, got {video.dtype} {video.shape}")
        photo = flat_image(picture_of(edited_first_frame))
        sizes = self.sizes(photo.size, width, height, detail)
        steps = self.card.num_inference_steps if num_inference_steps is None else num_inference_steps
        factor = default_factor(detail) if frame_rate_factor is None else frame_rate_factor
        check_factor(detail, factor)
        check_first_frame(detail, first_frame)
        (target_prompt,) = prompts_of("prompt", prompt, 1)
        source_prompt = target_prompt if source_prompt is None else source_prompt
        (source_prompt,) = prompts_of("source_prompt", source_prompt, 1)
        source_frames = np.stack([prepare_frame(frame, sizes, fit) for frame in video])
        full = fit_image(photo, sizes.video, fit)
        still = resized(full, sizes.model)
        if motion_intensity is None:
            motion_intensity = self.card.motion_scale.intensity_of(motion_score(source_frames))
        source_text, text = self.encode_text([source_prompt]), self.encode_text([target_prompt])
        bucket = self.bucket(motion_intensity, motion_bucket_id)
        flow = self.flow_of(source_frames)
        source_latent, residual = split_residual(self.encode(source_frames, decode_chunk_frames, flow))
        image_latent = self.encode(still[None], decode_chunk_frames)
        with self.progress_bar(total=2 * steps) as bar:
            reporter = StepReporter(self, bar, callback_on_step_end)
            source = Conditions(source_latent, source_text, source_text, bucket, guidance_scale=1)
            noise = invert(self.adapted_unet(), self.scheduler, residual, source, steps, reporter.on_step)
            if noise_refinement is not None:
                noise = refine_noise(noise, image_latent, self.scheduler, noise_refinement)
            on_step = reporter.predicting(image_latent, image_latent, still, len(video) - 1)
            target = Conditions(image_latent, text, text, bucket, guidance_scale=1)
            residual = denoise(self.adapted_unet(), self.scheduler, noise, target, steps, on_step)
        clip = compose(image_latent, residual)
        developed = full if detail == "photo" else None
        return Clip(clip, still, developed, factor, len(video) - 1, decode_chunk_frames, first_frame, flow)

    edit_film = developed(edited)
    edit = whole(edited)

    def sizes(
        self, photo: Size, width: int | None, height: int | None, detail: Detail, max_pixels: float = math.inf
    ) -> Sizes:
        """Sizes of a photo's video and of the model's output for it; see `film`.

        Raises:
            InvalidParameter: a side is out of range, or `detail` is unknown.
        """
        own = self.card.width, self.card.height
        if detail == "off":
            video = own[0] if width is None else width, own[1] if height is None else height
        else:
            video = video_size(photo, width, height, min_pixels=own[0] * own[1], max_pixels=max_pixels)
        check_sides(detail, *video)
        return Sizes(video, video if detail == "off" else model_size(video, own[0] * own[1]))

    def develop(self, clip: Clip) -> Film:
        """Turn latents into a film with the full photo's detail, if there is one.

        A motion codec takes all detail from the photo, at the model's size if there is no larger one. Measured flow,
        if any, replaces the latents' flow; the latents then supply only the light.
        """
        device, factor = self._execution_device, clip.frame_rate_factor
        photo = None if clip.photo is None else np.array(clip.photo)
        if isinstance(self.vae, MotionCodec):
            self.clear_device()
            made, decoded = decode_motion(self.vae, clip.latents, clip.still, clip.clip_frames)
            flow = decoded if clip.flow is None else clip.flow[1:]
            return Film(made, clip.still if photo is None else photo, factor, flow, device)
        made = self.decode(clip.latents, clip.decode_chunk_frames)
        if clip.first_frame == "photo":
            made[0] = clip.still
        return Film(made, photo, factor, device=device)


@dataclass
class StepReporter:
    """Advances the bar and calls the user's callback after each step; steps are counted over all clips."""

    pipe: CinemoPipeline
    bar: Any
    callback: StepCallback | None
    steps: Iterator[int] = field(default_factory=count)

    def on_step(self, _: int, timestep: int, residual: Tensor, clean: Tensor, **more: Any) -> Tensor:
        """Return the residual to continue with; `more` is for the callback, too."""
        self.bar.update()
        if self.callback is None:
            return residual
        answer = self.callback(self.pipe, next(self.steps), timestep, {"latents": residual, **more})
        return (answer or {}).get("latents", residual)

    def predicting(self, before: Tensor, image_latent: Tensor, still: Frames, clip_frames: int) -> OnStep:
        """The same with a preview of the clip that follows the latents `before`, see `preview_frames`."""

        def on_step(index: int, timestep: int, residual: Tensor, clean: Tensor) -> Tensor:
            def preview() -> Frames:
                latents = continued(before, image_latent, clean)
                return preview_frames(self.pipe.vae, latents, still, clip_frames)

            return self.on_step(index, timestep, residual, clean, preview=preview)

        return on_step


def continued(before: Tensor, image_latent: Tensor, residual: Tensor) -> Tensor:
    """Latents `(1, c, f, h', w')` and those of a clip that begins with the last of them, which isn't repeated."""
    return torch.cat((before, compose(image_latent, residual)[:, :, 1:]), dim=2)
