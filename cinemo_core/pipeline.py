"""CinemoPipeline: an image and a sentence in, frames out; or a video's motion given to another first frame.

By the conventions of diffusers. What happens to tensors stands in `sampling.py`, files and pictures in `media.py`.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from itertools import count
from typing import Any, ParamSpec

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cinemo_core.components import Components
from cinemo_core.dct import DCTInit
from cinemo_core.errors import InvalidVideo
from cinemo_core.film import Film
from cinemo_core.formats import Detail, Size, Sizes, model_size, usual_factor, video_size
from cinemo_core.media import Fit, Frames, fit_image, flat_image, prepare_frame, resized
from cinemo_core.memory import ends_turns, tells_out_of_memory
from cinemo_core.motion import motion_score
from cinemo_core.motion_codec import MotionCodec
from cinemo_core.motion_latents import decode_motion
from cinemo_core.parameters import RANGES, check_factor, check_ranges, check_sides
from cinemo_core.residual import compose, split_residual
from cinemo_core.samplers import SamplerName, make_sampler
from cinemo_core.sampling import Conditions, OnStep, denoise, invert

FRAMES = 16

StepCallback = Callable[["CinemoPipeline", int, int, dict[str, Any]], dict[str, Any]]
P = ParamSpec("P")


def whole(make: Callable[P, Film]) -> Callable[P, Frames]:
    """The same call, but for all frames of the film at once."""

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Frames:
        return make(*args, **kwargs).frames()

    return made


class CinemoPipeline(Components):
    """Animates a still image. Build it with `from_pretrained`."""

    @tells_out_of_memory
    @ends_turns
    @torch.no_grad()
    def film(
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
        detail: Detail = "photo",
        width: int | None = None,
        height: int | None = None,
        fit: Fit = "crop",
        frame_rate_factor: int | None = None,
        num_frames: int = FRAMES,
        clips: int = 1,
        sampler: SamplerName = "ddim",
        cache_interval: int = 1,
        decode_chunk_frames: int = FRAMES,
    ) -> Film:
        """Animate an image: `pipe(…)` for an array of frames, `pipe.film(…)` for frames that are made one by one.

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
            detail: `photo` has the model decide what moves and how light changes, at its own number of pixels, and
                takes all detail from the image, at any size; `off` gives what the model makes, exact as published.
            width: of the video in pixels, 16..2048, even. A side that is not given follows the image's shape; without
                both, the video is as large as the image, but 1280x720 or 720x1280 at most, and no smaller than what
                the model makes. With `detail="off"` the model itself works at this size: a multiple of 8, the model's
                own if not given.
            height: likewise.
            fit: `crop` fills the frame and cuts what stands over, `pad` keeps the whole picture between black bars.
            frame_rate_factor: frames of the video for each of the model's, 1..3, to be played as many times as fast; 3
                if not given, or 1 with `detail="off"`, which can have no more.
            num_frames: frames of a clip that the model makes, 8..32.
            clips: how many clips follow each other, each from the last frame of the one before, 1..16.
            sampler: `ddim` is exact; `unipc` and `dpm++` need fewer steps.
            cache_interval: 1 is exact; above, deep features are computed in every so many steps only.
            decode_chunk_frames: how many frames the VAE decodes at once: fewer need less memory.

        Returns:
            `1 + frame_rate_factor * clips * (num_frames - 1)` uint8 frames `(h, w, 3)`, the first of which is the input
            image's own pixels.

        Raises:
            InvalidImage: the picture is truncated or damaged.
            InvalidParameter: a number is out of its range.
            NumbersOverflowed: the networks left the range of their dtype.
            OutOfMemory: the message says what to lower.
        """
        steps = self.card.num_inference_steps if num_inference_steps is None else num_inference_steps
        guidance = self.card.guidance_scale if guidance_scale is None else guidance_scale
        factor = usual_factor(detail) if frame_rate_factor is None else frame_rate_factor
        photo = flat_image(image)
        sizes = self.sizes(photo.size, width, height, detail)
        check_factor(detail, factor)
        check_ranges(
            motion_intensity=motion_intensity,
            seed=seed,
            num_inference_steps=steps,
            guidance_scale=guidance,
            num_frames=num_frames,
            clips=clips,
            cache_interval=cache_interval,
            decode_chunk_frames=decode_chunk_frames,
        )
        if motion_bucket_id is not None:
            check_ranges(motion_bucket_id=motion_bucket_id)
        scheduler = make_sampler(sampler, self.scheduler)
        full = fit_image(photo, sizes.video, fit)
        still = resized(full, sizes.model)
        text, negative_text = self.encode_text([prompt, negative_prompt]).chunk(2)
        bucket = self.bucket(motion_intensity, motion_bucket_id)
        clip = self.encode(still[None], decode_chunk_frames)
        generator = torch.Generator().manual_seed(seed)
        with self.progress_bar(total=steps * clips) as bar:
            on_step = self.step_reporter(bar, callback_on_step_end)
            for _ in range(clips):
                image_latent = self.beginning(clip[:, :, -1:])
                given = Conditions(image_latent, text, negative_text, bucket, guidance)
                noise = self.initial_noise(image_latent, num_frames - 1, generator, noise_refinement)
                residual = denoise(self.unet, scheduler, noise, given, steps, on_step, cache_interval)
                clip = torch.cat((clip, compose(image_latent, residual)[:, :, 1:]), dim=2)
        developed = full if detail == "photo" else None
        return self.develop(clip, still, decode_chunk_frames, developed, factor, num_frames - 1)

    __call__ = whole(film)

    @tells_out_of_memory
    @ends_turns
    @torch.no_grad()
    def edit_film(
        self,
        video: Frames,
        edited_first_frame: Image.Image,
        prompt: str = "",
        motion_intensity: float | None = None,
        num_inference_steps: int = 50,
        callback_on_step_end: StepCallback | None = None,
        *,
        detail: Detail = "photo",
        width: int | None = None,
        height: int | None = None,
        fit: Fit = "crop",
        frame_rate_factor: int | None = None,
        decode_chunk_frames: int = FRAMES,
    ) -> Film:
        """Give a video's motion to another first frame: the edited one of the same video, or another picture.

        `pipe.edit(…)` gives an array of frames, `pipe.edit_film(…)` frames that are made one by one.

        The source's residuals are inverted to the noise that they come from (DDIM inversion), and the edited frame is
        animated from that noise without guidance (arXiv 2407.15642, section 4.4). A model whose latents hold flow needs
        no noise to carry the motion: it takes the source's flow as it was measured, and the light from the animation.

        Args:
            video: uint8 frames `(f, h, w, 3)`, 8..32 of them.
            edited_first_frame: any size and mode.
            prompt: what happens in both; may be empty, as the noise carries the motion.
            motion_intensity: 0..19; measured from the video if not given.
            num_inference_steps: of the inversion and again of the animation, 1..500; few of them invert badly.
            callback_on_step_end: as in a call; sees twice as many steps.
            detail: as in a call; it is the edited frame's.
            width: as in a call; the shape is the edited frame's, and the video is brought to it alike.
            height: likewise.
            fit: likewise.
            frame_rate_factor: likewise.
            decode_chunk_frames: likewise.

        Returns:
            `1 + frame_rate_factor * (f - 1)` uint8 frames `(h, w, 3)`, the first of which is the edited frame's own
            pixels.

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
        photo = flat_image(edited_first_frame)
        sizes = self.sizes(photo.size, width, height, detail)
        steps = num_inference_steps
        factor = usual_factor(detail) if frame_rate_factor is None else frame_rate_factor
        check_factor(detail, factor)
        check_ranges(num_inference_steps=steps, decode_chunk_frames=decode_chunk_frames)
        source_frames = np.stack([prepare_frame(frame, sizes, fit) for frame in video])
        full = fit_image(photo, sizes.video, fit)
        still = resized(full, sizes.model)
        if motion_intensity is None:
            motion_intensity = self.card.motion_scale.intensity_of(motion_score(source_frames))
        check_ranges(motion_intensity=motion_intensity)
        text, bucket = self.encode_text([prompt]), self.bucket(motion_intensity)
        flow = self.flow_of(source_frames)
        source_latent, residual = split_residual(self.encode(source_frames, decode_chunk_frames, flow))
        image_latent = self.encode(still[None], decode_chunk_frames)
        with self.progress_bar(total=2 * steps) as bar:
            on_step = self.step_reporter(bar, callback_on_step_end)
            source = Conditions(source_latent, text, text, bucket, guidance_scale=1)
            noise = invert(self.unet, self.scheduler, residual, source, steps, on_step)
            target = replace(source, image_latent=image_latent)
            residual = denoise(self.unet, self.scheduler, noise, target, steps, on_step)
        clip = compose(image_latent, residual)
        developed = full if detail == "photo" else None
        return self.develop(clip, still, decode_chunk_frames, developed, factor, len(video) - 1, flow)

    edit = whole(edit_film)

    def sizes(
        self, photo: Size, width: int | None, height: int | None, detail: Detail, most_pixels: float = math.inf
    ) -> Sizes:
        """Of the video of a photo, and of what the model makes for it; see `film`.

        Raises:
            InvalidParameter: a side is out of its range, or the detail is none.
        """
        own = self.card.width, self.card.height
        if detail == "off":
            video = own[0] if width is None else width, own[1] if height is None else height
        else:
            video = video_size(photo, width, height, least=own[0] * own[1], most=most_pixels)
        check_sides(detail, *video)
        return Sizes(video, video if detail == "off" else model_size(video, own[0] * own[1]))

    def develop(
        self,
        clip: Tensor,
        still: Frames,
        chunk: int,
        full: Image.Image | None,
        factor: int,
        clip_frames: int,
        flow: Tensor | None = None,
    ) -> Film:
        """From latents `(1, c, f, h', w')` to a film in the detail of the full photo, if there is one.

        The first frame is `still`, the photo as the model saw it; `clip_frames` are made for each clip. A codec of
        motion alone has all its detail from a photo, that at the model's own size if there is no other; where `flow` of
        all frames was measured, that is what moves, and the latents say how the light changes.
        """
        device = self._execution_device
        photo = None if full is None else np.array(full)
        if isinstance(self.vae, MotionCodec):
            self.clear_device()
            made, told = decode_motion(self.vae, clip, still, clip_frames)
            return Film(made, still if photo is None else photo, factor, told if flow is None else flow[1:], device)
        made = self.decode(clip, chunk)
        made[0] = still
        return Film(made, photo, factor, device=device)

    def step_reporter(self, bar: Any, callback: StepCallback | None) -> OnStep:
        """What is done after each step: the bar moves, the callback is asked. Counts over all clips."""
        steps = count()

        def on_step(_: int, timestep: int, residual: Tensor) -> Tensor:
            bar.update()
            if callback is None:
                return residual
            return callback(self, next(steps), timestep, {"latents": residual}).get("latents", residual)

        return on_step
