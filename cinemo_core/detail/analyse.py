"""What the photo can tell of each generated frame, once its motion is known: light, colour, and how far to trust it.

All of it at the size that the model works at.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cinemo_core.detail.blur import blur
from cinemo_core.detail.light import light_gain
from cinemo_core.detail.warp import inside, shrink, warp

BANDS = (1.0, 2.0, 4.0, 8.0, 16.0)
LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Frame:
    """One frame as the photo explains it: where `trust` is 1, `photo(x + flow) * gain + offset`, else `generated`.

    Attributes:
        flow: back to the photo, `(2, h, w)` in pixels.
        gain: light and colour, `(3, h, w)`.
        offset: what the frame has besides, `(3, h, w)`.
        trust: in the photo, 0..1, `(3, h, w)`: at the model's own size, in the octave above, and in all that is finer.
        inside: 1 `(h, w)` where the flow points into the photo.
        generated: the frame itself, freed of noise, `(3, h, w)` 0..1.
    """

    flow: Tensor
    gain: Tensor
    offset: Tensor
    trust: Tensor
    inside: Tensor
    generated: Tensor


@dataclass(frozen=True)
class Analysis:
    """The frames of a clip without the first, which is the photo; `Frame` by frame, each tensor with one axis more."""

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


def analyse(photo: Tensor, frames: Tensor, flow: Tensor) -> Analysis:
    """Compare `frames (f, 3, h, w)` with the warped photo `(3, H, W)`, which may be finer; values of 0..1."""
    height, width = frames.shape[-2:]
    scale = width / 192
    photo = shrink(photo, height, width) * 255
    gains, offsets, trusts, insides, cleaned, noises = [], [], [], [], [], []
    for generated, back in zip(frames * 255, flow, strict=True):
        warped, within = warp(photo, back), inside(back)
        gain = light_gain(generated, warped, within + 0.02, scale)
        lit = warped * gain
        rest = generated - lit
        blurred = [rest, *(blur(rest, sigma * scale) for sigma in BANDS)]
        fine, coarse = (excess(generated, lit, within, scale, *band) for band in ((0, 2), (2, 4)))
        offset = blurred[-1]
        for band, noise in enumerate((fine, fine, coarse, coarse / 2, coarse / 4)):
            part = blurred[band] - blurred[band + 1]
            energy = blur((part**2).mean(0), max(1.0, BANDS[band]) * 1.5 * scale)
            offset = offset + part * (1 - (2.5 * noise.clamp(min=0.3)) ** 2 / (energy + 1e-3)).clamp(0, 1)
        trust = agreement(generated, lit, blurred[2] - blurred[5], coarse, scale)
        gains.append(gain)
        offsets.append(offset / 255)
        trusts.append(trust)
        insides.append(within)
        cleaned.append(denoise(generated, fine, scale) / 255)
        noises.append(fine / 255)
    trust = blur(steady(torch.stack(trusts)), 1.5 * scale)[:, None].expand(-1, 3, -1, -1)
    return Analysis(
        flow,
        torch.stack(gains),
        torch.stack(offsets),
        trust,
        torch.stack(insides),
        torch.stack(cleaned),
        torch.stack(noises),
    )


def excess(generated: Tensor, lit: Tensor, within: Tensor, scale: float, fine: float, coarse: float) -> Tensor:
    """Noise of a frame between two blurs: what it has more than the warped photo, where that one is flat."""
    energies = []
    for picture in (lit, generated):
        band = blur(picture, fine * scale) - blur(picture, coarse * scale)
        energies.append(blur((band**2).mean(0), 3 * scale))
    visible = within > 0.9
    if visible.sum() < 100:
        return lit.new_zeros(())
    plain, grainy = energies[0][visible], energies[1][visible]
    flat = plain <= plain.quantile(0.25)
    return (grainy[flat] - plain[flat]).median().clamp(min=0).sqrt()


def agreement(generated: Tensor, lit: Tensor, rest: Tensor, noise: Tensor, scale: float) -> Tensor:
    """How well the lit, warped photo explains the frame, 0..1 `(h, w)`."""
    error = blur((rest**2).mean(0), 2 * scale).sqrt()
    expected = torch.hypot(noise * 1.6, noise.new_tensor(3.0))
    close = (1.8 - error / (2.6 * expected) * 0.9).clamp(0, 1)
    weights = generated.new_tensor(LUMINANCE)
    one, other = (torch.einsum("chw,c->hw", picture, weights) for picture in (generated, lit))
    one, other = (picture - blur(picture, 2 * scale) for picture in (one, other))
    spread = (blur(one * one, 2 * scale) * blur(other * other, 2 * scale)).sqrt()
    likeness = (blur(one * other, 2 * scale) + 2.25) / (spread + 2.25)
    return close * likeness.clamp(0, 1) ** 2


def steady(trust: Tensor) -> Tensor:
    """Trust `(f, h, w)` averaged over neighbouring frames, so that nothing flickers."""
    longer = torch.cat((trust[:1], trust, trust[-1:]))
    return longer[:-2] / 4 + longer[1:-1] / 2 + longer[2:] / 4


def denoise(generated: Tensor, noise: Tensor, scale: float) -> Tensor:
    """A frame `(3, h, w)` without its grain but with its edges: a guided filter by the frame itself."""
    power = (2 * noise) ** 2
    mean = blur(generated, 2 * scale)
    variance = (blur(generated**2, 2 * scale) - mean**2).clamp(min=0).mean(0)
    keep = blur(((variance - power).clamp(min=0) / (variance + 1e-3)), scale)
    return mean + (generated - mean) * torch.where(noise < 1.2, torch.ones_like(keep), keep)
