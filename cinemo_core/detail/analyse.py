"""Compares each generated frame, whose motion is known, with the photo: light, colour, and trust in the photo.

Everything is at the model's size.
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
    """A frame in terms of the photo: `photo(x + flow) * gain + offset` where `trust` is 1, `generated` where it is 0.

    Attributes:
        flow: backward flow to the photo, `(2, h, w)` in pixels.
        gain: change of light and colour, `(3, h, w)`.
        offset: content that the photo does not explain, `(3, h, w)`.
        trust: in the photo, 0..1, `(3, h, w)`: at the model's own size, in the octave above, and in all finer detail.
        inside: `(h, w)`, 1 where the flow points into the photo.
        generated: the denoised frame itself, `(3, h, w)` 0..1.
    """

    flow: Tensor
    gain: Tensor
    offset: Tensor
    trust: Tensor
    inside: Tensor
    generated: Tensor


@dataclass(frozen=True)
class Analysis:
    """The frames of a clip except the first, which is the photo: the tensors of `Frame`, stacked along a first axis.

    `noise (f,)` is the standard deviation of each frame's grain, 0 if it has none.
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
    """Compare `frames (f, 3, h, w)` with the photo `(3, H, W)` warped by `flow (f, 2, h, w)`; values are 0..1.

    Pass the photo at its full size: warping before downscaling shows more precisely how it looks at the frames' size.
    Without a preset, the frames' grain decides.
    """
    size = frames.shape[-2:]
    preset = preset or judge(resize(photo, *size), frames)
    photo = resize(photo, min(photo.shape[-2], 2 * size[0]), min(photo.shape[-1], 2 * size[1]))
    explained = [explain(photo * 255, frame, back, preset) for frame, back in zip(frames * 255, flow, strict=True)]
    gain, offset, trusted, within, generated, noise = (torch.stack(part) for part in zip(*explained, strict=True))
    return Analysis(flow, gain, offset / 255, steady(trusted), within, generated / 255, noise / 255)


def explain(photo: Tensor, frame: Tensor, flow: Tensor, preset: Preset) -> tuple[Tensor, ...]:
    """Gain, offset, trust, inside, the denoised frame, and its noise; pixel values are 0..255."""
    scale = frame.shape[-1] / 192
    within = inside(flow)
    warped = resize(warp(photo, resize_flow(flow, *photo.shape[-2:])), *frame.shape[-2:])
    gain = light_gain(frame, warped, within + 0.02, scale)
    lit = warped * gain
    rest = frame - lit
    level = grain(rest, within) if preset == "grainy" else rest.new_zeros(len(WINDOWS))
    return gain, offset(rest, level), trust(frame, lit, level), within, denoise(frame, level[0]), level[0]


def offset(rest: Tensor, level: Tensor) -> Tensor:
    """The part of `rest`, frame minus lit and warped photo, that grain does not explain, `(3, h, w)`."""
    parts = bands(rest)
    coarsest = rest - parts.sum(0)
    windows = zip(parts, WINDOWS, level, strict=True)
    shares = [(1 - (2.5 * noise) ** 2 / (energy(part, window) + 1e-3)).clamp(0, 1) for part, window, noise in windows]
    return coarsest + (parts * torch.stack(shares)[:, None]).sum(0)


def steady(trusted: Tensor) -> Tensor:
    """Trust `(f, ...)` averaged over neighbouring frames and pixels, to avoid flicker."""
    longer = torch.cat((trusted[:1], trusted, trusted[-1:]))
    return blur(longer[:-2] / 4 + longer[1:-1] / 2 + longer[2:] / 4, 0.7)
