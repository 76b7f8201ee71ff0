"""Freeing generated flow and light of noise: what moves as one stays rigid, and what is only noise does not move.

A flow is split into parts that mean something: shift, zoom with rotation, shear, and what bends; each again into what
goes on smoothly in time and what trembles. Each part is shrunk by how far it stands out of the noise, over the whole
clip (James and Stein 1961): a pan comes out as a pan, a still scene as still, a tremor that is meant stays.
"""

import math

import torch
from torch import Tensor

from cinemo_core.dct import dct_matrix

UNIT_AREA = 192 * 128
"""Area of the picture in whose pixels the noise is told."""

NOISE = 0.12
"""Of each part, in pixels of such a picture: what a trained model errs by where nothing moves."""

NOISE_SHARE = 0.08
"""And as a share of the whole flow, where much does."""

TREMOR_SHARE = 0.04
BEND_NOISE, WAVE_NOISE = 0.3, 0.25
"""Of what bends, over the whole picture, and of each of its waves."""

LIGHT_NOISE, LOCAL_LIGHT_NOISE = 0.03, 0.1
"""Of the logarithm of light, over the whole picture and from place to place."""

SMOOTH_DEGREE = 3


def steady(cells: Tensor, height: int, width: int) -> Tensor:
    """Backward flow `(f, 2, h, w)` of the frames after the first, from its means over cells `(f, 2, h', w')`; pixels.

    `height` and `width` are those of the frame, multiples of the cells'.
    """
    unit = math.sqrt(height * width / UNIT_AREA)
    flow = cells.double() / unit
    whole = size(flow)
    parts = rigid_parts(flow)
    bend = flow - torch.stack(parts).sum(0)
    rigid = [shrunk(calmed(part, NOISE + TREMOR_SHARE * whole), NOISE + NOISE_SHARE * whole) for part in parts]
    smooth = sum(extend(part, height, width) for part in rigid) + bent(
        shrunk(bend, BEND_NOISE + NOISE_SHARE * whole), height, width
    )
    return (smooth * unit).float()


def steady_light(gain: Tensor) -> Tensor:
    """Factors of light and colour `(f, 3, h, w)` of the frames after the first, freed of the model's noise."""
    light = gain.log()
    whole = light.mean(dim=(2, 3), keepdim=True)
    grey = whole.mean(dim=1, keepdim=True)
    parts = ((grey, LIGHT_NOISE), (whole - grey, LIGHT_NOISE), (light - whole, LOCAL_LIGHT_NOISE))
    steadied = [shrunk(calmed(part.expand_as(light), noise), noise) for part, noise in parts]
    return torch.stack(steadied).sum(0).exp()


def size(flow: Tensor) -> float:
    """Root mean square length of a flow `(f, 2, h, w)`."""
    return float(flow.square().sum(1).mean().sqrt())


def rigid_parts(flow: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shift, zoom with rotation, and shear of a flow `(f, 2, h, w)`, by least squares; each of its shape."""
    y, x = centred(flow)
    (dx, dy), ones = flow.unbind(1), torch.ones_like(x)
    shift = flow.mean(dim=(2, 3), keepdim=True).expand_as(flow)
    down_x, down_y = ((part * y).mean((1, 2)) / (y * y).mean() for part in (dx, dy))
    right_x, right_y = ((part * x).mean((1, 2)) / (x * x).mean() for part in (dx, dy))
    zoom, turn = (right_x + down_y) / 2, (right_y - down_x) / 2
    zoom, turn = (each[:, None, None] * ones for each in (zoom, turn))
    alike = torch.stack((zoom * x - turn * y, turn * x + zoom * y), dim=1)
    whole = torch.stack(
        (
            right_x[:, None, None] * x + down_x[:, None, None] * y,
            right_y[:, None, None] * x + down_y[:, None, None] * y,
        ),
        dim=1,
    )
    return shift, alike, whole - alike


def centred(like: Tensor) -> tuple[Tensor, Tensor]:
    """Places `(h, w)` down and right of the middle of `like (..., h, w)`, in its own pixels."""
    height, width = like.shape[-2:]
    rows = torch.arange(height, dtype=like.dtype, device=like.device) - (height - 1) / 2
    columns = torch.arange(width, dtype=like.dtype, device=like.device) - (width - 1) / 2
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return y, x


def calmed(part: Tensor, noise: float) -> Tensor:
    """A part without its tremor: what a polynomial of time that is zero at the first frame leaves over, if little."""
    time = torch.arange(1, len(part) + 1, dtype=part.dtype, device=part.device) / len(part)
    powers = torch.stack([time**degree for degree in range(1, min(SMOOTH_DEGREE, len(part)) + 1)], dim=1)
    basis, _ = torch.linalg.qr(powers)
    smooth = torch.einsum("fk,gk,gchw->fchw", basis, basis, part)
    return smooth + shrunk(part - smooth, noise)


def shrunk(part: Tensor, noise: float) -> Tensor:
    """A part times how far its energy stands out of the noise's, 0..1."""
    return part * max(0.0, 1 - (noise / (size(part) + 1e-9)) ** 2)


def bent(bend: Tensor, height: int, width: int) -> Tensor:
    """What bends, over pixels: those of its waves that stand out of the noise over the whole clip, evaluated anew."""
    low_height, low_width = bend.shape[-2:]
    down, right = (dct_matrix(side, bend.dtype, bend.device) for side in (low_height, low_width))
    waves = calmed(down @ bend @ right.T, WAVE_NOISE)
    energy = waves.square().mean((0, 1))
    waves = waves * (1 - WAVE_NOISE**2 / (energy + 1e-9)).clamp(min=0)
    return synthesis(low_height, height, bend).T @ waves @ synthesis(low_width, width, bend)


def synthesis(low: int, high: int, like: Tensor) -> Tensor:
    """Waves `(low, high)` of a DCT over `low` cells at `high` pixels, freed of what averaging over a cell took."""
    index = torch.arange(low, dtype=like.dtype, device=like.device)
    place = (torch.arange(high, dtype=like.dtype, device=like.device) + 0.5) / high
    waves = torch.cos(math.pi * index[:, None] * place) * math.sqrt(2 / low)
    waves[0] /= math.sqrt(2)
    return waves / torch.sinc(index / (2 * low))[:, None]


def extend(rigid: Tensor, height: int, width: int) -> Tensor:
    """An affine flow over cells as one over pixels, exactly, beyond the outermost cells' middles, too."""
    low_height, low_width = rigid.shape[-2:]
    rows = (torch.arange(height, device=rigid.device) + 0.5) / height * low_height - 0.5
    columns = (torch.arange(width, device=rigid.device) + 0.5) / width * low_width - 0.5
    down = (rigid[:, :, -1] - rigid[:, :, 0]) / max(low_height - 1, 1)
    right = (rigid[:, :, 0, -1] - rigid[:, :, 0, 0]) / max(low_width - 1, 1)
    return rigid[:, :, :1, :1] + rows[:, None] * down[:, :, :1, None] + columns[None, :] * right[:, :, None, None]
