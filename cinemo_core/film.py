"""A clip whose frames are composed on demand from the model's output and the photo's detail."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cinemo_core.detail import transfer
from cinemo_core.media import Frames
from cinemo_core.memory import guarded_iterator
from cinemo_spec.formats import Size


@dataclass(frozen=True)
class Film:
    """Frames `(h, w, 3)` uint8, composed one by one on each iteration, so that only a few are in memory."""

    made: Frames
    """The model's frames `(f, h, w, 3)` uint8; the first is the photo at the model's size."""
    photo: Frames | None = None
    """The photo at the video's size, `(H, W, 3)` uint8; without it, `made` is the video."""
    frame_rate_factor: int = 1
    """Video frames per model frame after the first."""
    flow: Tensor | None = None
    """Flow of all frames but the first to the photo, `(f - 1, 2, h, w)` in their pixels, if the model supplies it."""
    device: str | torch.device = "cpu"
    """Where frames are composed."""

    @property
    def is_composed(self) -> bool:
        """Whether iterating composes the frames on `device`; otherwise they are the model's."""
        return self.photo is not None

    @property
    def size(self) -> Size:
        """Width and height of the video in pixels."""
        height, width, _ = self.made[0].shape if self.photo is None else self.photo.shape
        return width, height

    @property
    def model_size(self) -> Size:
        """Width and height of the model's frames in pixels."""
        return self.made.shape[2], self.made.shape[1]

    def __len__(self) -> int:
        return 1 + self.frame_rate_factor * (len(self.made) - 1)

    def __iter__(self) -> Iterator[Frames]:
        """The frames, the first of which is the photo.

        Raises:
            OutOfMemory: the device's memory ran out.
        """
        if self.photo is None:
            return iter(self.made)
        composed = transfer(
            self.photo,
            self.made,
            flow=self.flow,
            frame_rate_factor=self.frame_rate_factor,
            device=self.device,
        )
        return guarded_iterator(composed)

    def frames(self) -> Frames:
        """All frames, `(f, h, w, 3)`."""
        return self.made if self.photo is None else np.stack(list(self))
