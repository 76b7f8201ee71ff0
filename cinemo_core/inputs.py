"""Normalizes a caller's inputs from the forms that diffusers accepts, or rejects them with a clear message.

A call makes one film: lists that would form a batch elsewhere are rejected.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cinemo_core.media import Frames
from cinemo_core.pictures import open_picture
from cinemo_spec.errors import InvalidImage, InvalidParameter
from cinemo_spec.ranges import check_ranges

Picture = Image.Image | Frames | str | Path
Prompt = str | Sequence[str] | None


def picture_of(image: Picture) -> Image.Image:
    """The picture given as such, as pixels `(h, w, 3)` uint8, or as the path of a file.

    Raises:
        InvalidImage: anything else, or several pictures.
    """
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, str | Path):
        return open_picture(Path(image))
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] == 3:
        return Image.fromarray(image)
    shape = f" {image.dtype} {tuple(image.shape)}" if isinstance(image, np.ndarray | Tensor) else ""
    raise InvalidImage(
        f"an image must be a PIL image, a path or an array (h, w, 3) of uint8, got {type(image).__name__}{shape}; "
        "for several images, call once for each"
    )


def prompts_of(name: str, prompt: Prompt, clips: int) -> list[str]:
    """The text of each clip; a list has one for each.

    Raises:
        InvalidParameter: not text, or the list's length is not the number of clips.
    """
    texts = [prompt] * clips if isinstance(prompt, str) else prompt
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise InvalidParameter(f"{name} must be text, or a list with the text of each clip, got {prompt!r}")
    if len(texts) != clips:
        raise InvalidParameter(
            f"{name} lists {len(texts)} texts for clips={clips}: a list has one for each consecutive clip; "
            "for several videos, call once for each"
        )
    return list(texts)


def generator_of(generator: torch.Generator | None, seed: int) -> torch.Generator:
    """The given generator, or a new one with the seed.

    Raises:
        InvalidParameter: not a generator, or the seed is out of range.
    """
    if generator is None:
        check_ranges(seed=seed)
        return torch.Generator().manual_seed(int(seed))
    if not isinstance(generator, torch.Generator):
        raise InvalidParameter(
            f"generator must be one torch.Generator, got {type(generator).__name__}; for several, call once for each"
        )
    return generator


def check_tensor(name: str, tensor: Tensor, shape: tuple[int | None, ...]) -> Tensor:
    """The tensor; raises `InvalidParameter` if its shape differs. None stands for any size."""
    sizes = tuple(tensor.shape) if isinstance(tensor, Tensor) else ()
    if len(sizes) != len(shape) or any(want not in (None, size) for want, size in zip(shape, sizes, strict=True)):
        wanted = ", ".join("n" if want is None else str(want) for want in shape)
        raise InvalidParameter(f"{name} must be a tensor ({wanted}), got {type(tensor).__name__} {sizes}")
    return tensor
