"""Freeing generated flow and light of noise: what moves as one stays rigid, and what is only noise does not move.

A flow is split into parts that mean something: shifts, zoom, rotation, shear, and what bends; each again into what goes
on smoothly in time and what trembles. Each part is shrunk by how far it stands out of the noise over the whole clip: a
pan comes out as a pan, a still scene as still, a tremor that is meant stays.
"""

import math

import torch
from torch import Tensor

from cinemo_core.dct import dct_matrix

UNIT_AREA = 192 * 128
"""Area of the picture in whose pixels flow is told here."""

NOISE, NOISE_SHARE = 0.6, 0.12
"""What a trained model errs by in each part: in pixels, and as a share of the whole flow besides."""

TREMOR_NOISE, TREMOR_SHARE = 0.5, 0.04
"""Likewise, of what does not go on smoothly in time."""

BEND_NOISE, WAVE_NOISE = 0.9, 0.25
"""Of what bends, over the whole picture, and of each of its waves."""

LIGHT_NOISE, LOCAL_LIGHT_NOISE = 0.03, 0.1
"""Of the logarithm of light, over the whole picture and from place to place."""

SMOOTH_DEGREE = 3


def steady(cells: Tensor, height: int, width: int) -> Tensor:
    """Backward flow `(f, 2, h, w)` of the frames after the first, from its means over cells `(f, 2, h', w')`; pixels.

    `height` and `width` are those of the frame.
    """
    unit = math.sqrt(height * width / UNIT_AREA)
    flow = cells.double() / unit
    noise, tremor = NOISE + NOISE_SHARE * size(flow), TREMOR_NOISE + TREMOR_SHARE * size(flow)

    def settled(part: Tensor) -> Tensor:
        smooth, rest = in_time(part)
        return shrunk(smooth, noise) + shrunk(rest, tremor)

    rows, columns = flow.shape[-2:]
    places = middles(rows, columns, height / unit, width / unit, flow)
    shift = flow.mean(dim=(2, 3), keepdim=True)
    slopes = slope(flow, places)
    similar = similarity(slopes)
    bend = flow - shift - apply(slopes, places)
    radius = places.square().sum(0).mean().sqrt()
    shear = settled(apply(slopes - similar, places))
    shift = torch.cat([settled(each) for each in shift.split(1, dim=1)], dim=1)
    turned = from_polar(*(settled(each[:, None, None, None] * radius) / radius for each in polar(similar)))
    fine = middles(height, width, height / unit, width / unit, flow)
    rigid = shift + apply(turned + slope(shear, places), fine)
    bent = resampled(shrunk(bend, BEND_NOISE + NOISE_SHARE * size(flow - bend)), height, width)
    return ((rigid + bent) * unit).float()


def steady_light(gain: Tensor) -> Tensor:
    """Factors of light and colour `(f, 3, h, w)` of the frames after the first, freed of the model's noise."""
    light = gain.log()
    whole = light.mean(dim=(2, 3), keepdim=True)
    grey = whole.mean(dim=1, keepdim=True)
    parts = ((grey, LIGHT_NOISE), (whole - grey, LIGHT_NOISE), (light - whole, LOCAL_LIGHT_NOISE))
    steadied = [shrunk(calmed(part.expand_as(light), noise), noise) for part, noise in parts]
    return torch.stack(steadied).sum(0).exp()


def size(part: Tensor) -> float:
    """Root mean square length of a part of the flow `(f, c, ...)` over frames and places."""
    return float(part.square().sum(1).mean().sqrt())


def middles(rows: int, columns: int, height: float, width: float, like: Tensor) -> Tensor:
    """Middles of the cells of a grid over a picture, `(2, rows, columns)`: right and down of the picture's middle."""
    down = (torch.arange(rows, dtype=like.dtype, device=like.device) + 0.5 - rows / 2) * height / rows
    right = (torch.arange(columns, dtype=like.dtype, device=like.device) + 0.5 - columns / 2) * width / columns
    y, x = torch.meshgrid(down, right, indexing="ij")
    return torch.stack((x, y))


def slope(flow: Tensor, places: Tensor) -> Tensor:
    """How a flow `(f, 2, h, w)` grows along both axes of `places (2, h, w)`, by least squares: `(f, 2, 2)`."""
    return torch.einsum("fchw,khw->fck", flow, places) / places.square().sum((1, 2))


def apply(slopes: Tensor, places: Tensor) -> Tensor:
    """The flow `(f, 2, h, w)` of slopes `(f, 2, 2)`."""
    return torch.einsum("fck,khw->fchw", slopes, places)


def similarity(slopes: Tensor) -> Tensor:
    """Of slopes `(f, 2, 2)` what zooms and turns, and does not shear."""
    zoom, turn = (slopes[:, 0, 0] + slopes[:, 1, 1]) / 2, (slopes[:, 1, 0] - slopes[:, 0, 1]) / 2
    return torch.stack((torch.stack((zoom, -turn), dim=1), torch.stack((turn, zoom), dim=1)), dim=1)


def polar(similar: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithm of the zoom and angle of the rotation, `(f,)` each, that slopes `(f, 2, 2)` stand for."""
    across, along = 1 + similar[:, 0, 0], similar[:, 1, 0]
    return torch.hypot(across, along).log(), torch.atan2(along, across)


def from_polar(log_zoom: Tensor, angle: Tensor) -> Tensor:
    """Inverse of `polar`; takes `(f, 1, 1, 1)` each."""
    zoom, angle = log_zoom.flatten().exp(), angle.flatten()
    across, along = zoom * angle.cos() - 1, zoom * angle.sin()
    return torch.stack((torch.stack((across, -along), dim=1), torch.stack((along, across), dim=1)), dim=1)


def in_time(part: Tensor) -> tuple[Tensor, Tensor]:
    """A part `(f, c, h, w)` as what goes on smoothly, a polynomial of time that is zero at the photo, and the rest."""
    time = torch.arange(1, len(part) + 1, dtype=part.dtype, device=part.device) / len(part)
    powers = torch.stack([time**degree for degree in range(1, min(SMOOTH_DEGREE, len(part)) + 1)], dim=1)
    basis, _ = torch.linalg.qr(powers)
    smooth = torch.einsum("fk,gk,gchw->fchw", basis, basis, part)
    return smooth, part - smooth


def calmed(part: Tensor, noise: float) -> Tensor:
    """A part without its tremor, unless that stands out of the noise."""
    smooth, rest = in_time(part)
    return smooth + shrunk(rest, noise)


def shrunk(part: Tensor, noise: float) -> Tensor:
    """A part times how far it stands out of the noise: not at all up to it, nearly whole from its double on."""
    return part * max(0.0, 1 - (noise / (size(part) + 1e-9)) ** 4)


def resampled(bend: Tensor, height: int, width: int) -> Tensor:
    """What bends, over pixels: those of its waves that stand out of the noise over the whole clip, evaluated anew."""
    rows, columns = bend.shape[-2:]
    down, right = (dct_matrix(side, bend.dtype, bend.device) for side in (rows, columns))
    waves = calmed(down @ bend @ right.T, WAVE_NOISE)
    energy = waves.square().mean((0, 1))
    waves = waves * (1 - WAVE_NOISE**2 / (energy + 1e-9)).clamp(min=0)
    return synthesis(rows, height, bend).T @ waves @ synthesis(columns, width, bend)


def synthesis(low: int, high: int, like: Tensor) -> Tensor:
    """Waves `(low, high)` of a DCT over `low` cells at `high` pixels, freed of what averaging over a cell took."""
    index = torch.arange(low, dtype=like.dtype, device=like.device)
    place = (torch.arange(high, dtype=like.dtype, device=like.device) + 0.5) / high
    waves = torch.cos(math.pi * index[:, None] * place) * math.sqrt(2 / low)
    waves[0] /= math.sqrt(2)
    return waves / torch.sinc(index / (2 * low))[:, None]
