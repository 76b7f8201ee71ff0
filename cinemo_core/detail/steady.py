"""Denoises generated flow and light: rigid motion stays rigid, and a still scene stays still.

A flow is decomposed into shift, zoom, rotation, shear and bending, and each of these into a part that is smooth in time
and tremor. Each component is shrunk according to how far it exceeds the model's noise over the whole clip: a pan
remains a pan, a still scene becomes still, and intended tremor survives.
"""

import math

import torch
from torch import Tensor

from cinemo_core.dct import dct_matrix

UNIT_AREA = 192 * 128
"""Area of the reference picture in whose pixels flow is measured here."""

NOISE, NOISE_SHARE = 0.6, 0.12
"""Error of a trained model in each component: in pixels, plus a share of the whole flow."""

TREMOR_NOISE, TREMOR_SHARE = 0.5, 0.04
"""Likewise, for tremor, the part that is not smooth in time."""

BEND_NOISE, WAVE_NOISE = 0.9, 0.25
"""Error of bending over the whole picture, and of each of its DCT coefficients."""

LIGHT_NOISE, LOCAL_LIGHT_NOISE = 0.03, 0.1
"""Error of the logarithm of light, over the whole picture and locally."""

SMOOTH_DEGREE = 3


def steady(cells: Tensor, height: int, width: int) -> Tensor:
    """Denoised backward flow `(f, 2, h, w)`, in pixels, of all frames but the first, from cell means `(f, 2, h', w')`.

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
    """Denoise the gain of light and colour `(f, 3, h, w)` of all frames but the first."""
    light = gain.log()
    whole = light.mean(dim=(2, 3), keepdim=True)
    grey = whole.mean(dim=1, keepdim=True)
    parts = ((grey, LIGHT_NOISE), (whole - grey, LIGHT_NOISE), (light - whole, LOCAL_LIGHT_NOISE))
    steadied = [shrunk(calmed(part.expand_as(light), noise), noise) for part, noise in parts]
    return torch.stack(steadied).sum(0).exp()


def size(part: Tensor) -> float:
    """Root mean square length of a flow component `(f, c, ...)` over frames and pixels."""
    return float(part.square().sum(1).mean().sqrt())


def middles(rows: int, columns: int, height: float, width: float, like: Tensor) -> Tensor:
    """Cell centres of a grid over a picture, `(2, rows, columns)`: right and down from the picture's centre."""
    down = (torch.arange(rows, dtype=like.dtype, device=like.device) + 0.5 - rows / 2) * height / rows
    right = (torch.arange(columns, dtype=like.dtype, device=like.device) + 0.5 - columns / 2) * width / columns
    y, x = torch.meshgrid(down, right, indexing="ij")
    return torch.stack((x, y))


def slope(flow: Tensor, places: Tensor) -> Tensor:
    """Slopes `(f, 2, 2)` of a flow `(f, 2, h, w)` along both axes of `places (2, h, w)`, by least squares."""
    return torch.einsum("fchw,khw->fck", flow, places) / places.square().sum((1, 2))


def apply(slopes: Tensor, places: Tensor) -> Tensor:
    """The linear flow `(f, 2, h, w)` with slopes `(f, 2, 2)`."""
    return torch.einsum("fck,khw->fchw", slopes, places)


def similarity(slopes: Tensor) -> Tensor:
    """The zoom and rotation in slopes `(f, 2, 2)`, without the shear."""
    zoom, turn = (slopes[:, 0, 0] + slopes[:, 1, 1]) / 2, (slopes[:, 1, 0] - slopes[:, 0, 1]) / 2
    return torch.stack((torch.stack((zoom, -turn), dim=1), torch.stack((turn, zoom), dim=1)), dim=1)


def polar(similar: Tensor) -> tuple[Tensor, Tensor]:
    """Logarithm of the zoom and angle of the rotation, `(f,)` each, of slopes `(f, 2, 2)`."""
    across, along = 1 + similar[:, 0, 0], similar[:, 1, 0]
    return torch.hypot(across, along).log(), torch.atan2(along, across)


def from_polar(log_zoom: Tensor, angle: Tensor) -> Tensor:
    """Inverse of `polar`; takes `(f, 1, 1, 1)` each."""
    zoom, angle = log_zoom.flatten().exp(), angle.flatten()
    across, along = zoom * angle.cos() - 1, zoom * angle.sin()
    return torch.stack((torch.stack((across, -along), dim=1), torch.stack((along, across), dim=1)), dim=1)


def in_time(part: Tensor) -> tuple[Tensor, Tensor]:
    """Split `part (f, c, h, w)` into a polynomial of time that is zero at the photo, and the rest."""
    time = torch.arange(1, len(part) + 1, dtype=part.dtype, device=part.device) / len(part)
    powers = torch.stack([time**degree for degree in range(1, min(SMOOTH_DEGREE, len(part)) + 1)], dim=1)
    basis, _ = torch.linalg.qr(powers)
    smooth = torch.einsum("fk,gk,gchw->fchw", basis, basis, part)
    return smooth, part - smooth


def calmed(part: Tensor, noise: float) -> Tensor:
    """A component with its tremor shrunk, unless that exceeds the noise."""
    smooth, rest = in_time(part)
    return smooth + shrunk(rest, noise)


def shrunk(part: Tensor, noise: float) -> Tensor:
    """Shrink a component by its size relative to the noise: to zero up to that level, hardly from twice that on."""
    return part * max(0.0, 1 - (noise / (size(part) + 1e-9)) ** 4)


def resampled(bend: Tensor, height: int, width: int) -> Tensor:
    """Bending at pixel resolution, from those of its DCT coefficients that exceed the noise over the whole clip."""
    rows, columns = bend.shape[-2:]
    down, right = (dct_matrix(side, bend.dtype, bend.device) for side in (rows, columns))
    waves = calmed(down @ bend @ right.T, WAVE_NOISE)
    energy = waves.square().mean((0, 1))
    waves = waves * (1 - WAVE_NOISE**2 / (energy + 1e-9)).clamp(min=0)
    return synthesis(rows, height, bend).T @ waves @ synthesis(columns, width, bend)


def synthesis(low: int, high: int, like: Tensor) -> Tensor:
    """DCT basis `(low, high)` of `low` cells at `high` pixels, corrected for the attenuation by cell averaging."""
    index = torch.arange(low, dtype=like.dtype, device=like.device)
    place = (torch.arange(high, dtype=like.dtype, device=like.device) + 0.5) / high
    waves = torch.cos(math.pi * index[:, None] * place) * math.sqrt(2 / low)
    waves[0] /= math.sqrt(2)
    return waves / torch.sinc(index / (2 * low))[:, None]
