"""What the photo can tell of each generated frame, once its motion is known: light, colour, and how far to trust it.

All of it at the size that the model works at.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cinemo_core.detail.blur import blur
from cinemo_core.detail.light import light_gain
from cinemo_core.detail.noise import Preset, bands, denoise, energy, grain, judge
from cinemo_core.detail.precision import full_precision
from cinemo_core.detail.trust import trust
from cinemo_core.detail.warp import inside, resize, resize_flow, warp

WINDOWS = (1.5, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Frame:
    """One frame as the photo explains it: where `trust` is 1, `photo(x + flow) * gain + offset`, else `generated`.

    Attributes:
        flow: back to the photo, `(2, h, w)` in pixels.
        gain: light and colour, `(3, h, w)`.
        offset: what the frame has besides, `(3, h, w)`.
        trust: in the photo, 0..1, `(3, h, w)`: at the model's own size, in the octave above, and in all that is finer.
        inside: 1 `(h, w)` where the flow points into the photo.
        generated: the frame itself, freed of grain, `(3, h, w)` 0..1.
    """

    flow: Tensor
    gain: Tensor
    offset: Tensor
    trust: Tensor
    inside: Tensor
    generated: Tensor


@dataclass(frozen=True)
class Analysis:
    """The frames of a clip without the first, which is the photo: as `Frame`, each tensor with one axis more.

    `noise (f,)` is the standard deviation of their grain, 0 where they have none.
    """

    flow: Tensor
    gain: Tensor
    offset: Tensor
    trust: Tensor
    inside: Tensor
    generated: Tensor
    noise: Tensor

    def __len__(self) -> int:
        return len(self.flow)

    def __getitem__(self, index: int) -> Frame:
        return Frame(
            self.flow[index],
            self.gain[index],
            self.offset[index],
            self.trust[index],
            self.inside[index],
            self.generated[index],
        )

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))


@full_precision
def analyse(photo: Tensor, frames: Tensor, flow: Tensor, preset: Preset | None = None) -> Analysis:
    """Compare `frames (f, 3, h, w)` with the photo `(3, H, W)`, as fine as there is, seen through `flow (f, 2, h, w)`.

    Values of 0..1. A photo finer than the frames tells better how it looks at their size, once it has moved. Without a
    preset the frames' own grain decides.
    """
    size = frames.shape[-2:]
    preset = preset or judge(resize(photo, *size), frames)
    photo = resize(photo, min(photo.shape[-2], 2 * size[0]), min(photo.shape[-1], 2 * size[1]))
    explained = [explain(photo * 255, frame, back, preset) for frame, back in zip(frames * 255, flow, strict=True)]
    gain, offset, trusted, within, generated, noise = (torch.stack(part) for part in zip(*explained, strict=True))
    return Analysis(flow, gain, offset / 255, steady(trusted), within, generated / 255, noise / 255)


def explain(photo: Tensor, frame: Tensor, flow: Tensor, preset: Preset) -> tuple[Tensor, ...]:
    """Gain, offset, trust, inside, the frame without grain, and its noise; pictures in eight-bit steps."""
    scale = frame.shape[-1] / 192
    within = inside(flow)
    warped = resize(warp(photo, resize_flow(flow, *photo.shape[-2:])), *frame.shape[-2:])
    gain = light_gain(frame, warped, within + 0.02, scale)
    lit = warped * gain
    rest = frame - lit
    level = grain(rest, within) if preset == "grainy" else rest.new_zeros(len(WINDOWS))
    return gain, offset(rest, level), trust(frame, lit, level), within, denoise(frame, level[0]), level[0]


def offset(rest: Tensor, level: Tensor) -> Tensor:
    """What a frame has besides the lit, warped photo, `(3, h, w)`: all of it, but for what its grain explains."""
    parts = bands(rest)
    coarsest = rest - parts.sum(0)
    windows = zip(parts, WINDOWS, level, strict=True)
    shares = [(1 - (2.5 * noise) ** 2 / (energy(part, window) + 1e-3)).clamp(0, 1) for part, window, noise in windows]
    return coarsest + (parts * torch.stack(shares)[:, None]).sum(0)


def steady(trusted: Tensor) -> Tensor:
    """Trust `(f, ...)` averaged over neighbouring frames and pixels, so that nothing flickers."""
    longer = torch.cat((trusted[:1], trusted, trusted[-1:]))
    return blur(longer[:-2] / 4 + longer[1:-1] / 2 + longer[2:] / 4, 0.7)
