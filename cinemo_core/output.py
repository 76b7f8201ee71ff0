"""The forms of a pipeline call's result: a film, all its frames at once, or the latents."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, ParamSpec, get_args

import torch
from PIL import Image
from torch import Tensor

from cinemo_core.film import Film
from cinemo_core.media import Frames
from cinemo_core.memory import frees_model_hooks, raises_out_of_memory
from cinemo_spec.parameters import FirstFrame
from cinemo_spec.ranges import check_word

OutputType = Literal["np", "pil", "latent"]
P = ParamSpec("P")


@dataclass(frozen=True)
class Clip:
    """The networks' output for a photo, and what is needed to render it.

    Attributes:
        latents: `(1, c, f, h', w')`, float32; the first frame is the photo's.
        still: the photo at the model's size, `(h, w, 3)` uint8.
        photo: the photo at the video's size; None if the model's output is the video.
        frame_rate_factor: video frames per model frame after the first.
        clip_frames: frames generated for each clip.
        decode_chunk_frames: frames decoded at once.
        first_frame: whether the first frame is the photo's own pixels, or decoded like all others.
        flow: measured flow of all frames, `(f, 2, h, w)`, if there is one.
    """

    latents: Tensor
    still: Frames
    photo: Image.Image | None
    frame_rate_factor: int
    clip_frames: int
    decode_chunk_frames: int
    first_frame: FirstFrame = "photo"
    flow: Tensor | None = None


def developed(make: Callable[P, Clip]) -> Callable[P, Film]:
    """Wrap a method that returns a clip to return its film."""

    @wraps(make)
    @raises_out_of_memory
    @frees_model_hooks
    @torch.no_grad()
    def made(*args: P.args, **kwargs: P.kwargs) -> Film:
        pipe: Any = args[0]
        return pipe.develop(make(*args, **kwargs))

    return made


def whole(make: Callable[..., Clip]) -> Callable[..., Any]:
    """Wrap a method that returns a clip to return all frames at once.

    `output_type` is `np` for a uint8 array `(f, h, w, 3)`, `pil` for a list of images, or `latent` for the latents
    `(1, c, f, h', w')` that `decode` takes, which skips decoding.
    """

    film = developed(make)

    @wraps(make)
    def made(*args: Any, output_type: OutputType = "np", **kwargs: Any) -> Any:
        check_word("output_type", output_type, get_args(OutputType))
        if output_type == "latent":
            return latents(*args, **kwargs)
        frames = film(*args, **kwargs).frames()
        return frames if output_type == "np" else [Image.fromarray(frame) for frame in frames]

    @raises_out_of_memory
    @frees_model_hooks
    @torch.no_grad()
    def latents(*args: Any, **kwargs: Any) -> Tensor:
        return make(*args, **kwargs).latents

    return made
