"""The built-in model's codec: represents a clip as thumbnails and the flow of each frame back to the first.

Five latent channels per cell of a coarse grid: three of colour, and two of backward flow, which are zero in the first
frame. The photo supplies the appearance (see `detail`), so a small model can spend its capacity on motion. Has the
interface of a diffusers VAE; a single picture encodes as one without motion.
"""

import math

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from cinemo_core.codec import DecoderOutput, EncoderOutput, PointDistribution

COLOURS, FLOWS = 3, 2
OPPONENT = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (-0.5, 1.0, -0.5))
"""Lightness, red against blue, green against both: rows of an orthogonal matrix up to their lengths."""


class MotionCodec(ModelMixin, ConfigMixin):
    """Thumbnails and flow, both scaled towards the unit variance of the noise.

    Args:
        latent_channels: 5.
        cell: approximate side of a cell in pixels: a picture is divided into whole cells of one size.
        lightness_scale: of the first colour channel; pixel values are -1..1.
        chroma_scale: of the two others.
        flow_unit: flow that a latent of 1 stands for, as a share of the square root of the picture's area, so that a
            motion has the same latents at every size and shape.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = COLOURS + FLOWS,
        cell: int = 8,
        lightness_scale: float = 2.0,
        chroma_scale: float = 4.0,
        flow_unit: float = 0.05,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        opponent = torch.tensor(OPPONENT)
        opponent = opponent / opponent.norm(dim=1, keepdim=True)
        scale = torch.tensor([lightness_scale, chroma_scale, chroma_scale])
        # The codec has nothing to learn; a parameter gives it a device, a dtype and a file like other parts.
        self.to_colours = nn.Parameter(opponent * scale[:, None], requires_grad=False)

    @apply_forward_hook
    def encode(self, pixels: Tensor) -> EncoderOutput:
        """Encode `pixels (b, 3, h, w)` in -1..1 to latents `(b, 5, h', w')` without flow."""
        colours = self.thumbnails(pixels)
        still = colours.new_zeros(len(colours), FLOWS, *colours.shape[-2:])
        return EncoderOutput(PointDistribution(torch.cat((colours, still), dim=1)))

    @apply_forward_hook
    def encode_clip(self, pixels: Tensor, flow: Tensor) -> Tensor:
        """Latents `(f, 5, h', w')` of frames `(f, 3, h, w)` in -1..1.

        `flow (f, 2, ...)` leads back to the first frame, in the frames' pixels, on any grid at least as fine as the
        cells.
        """
        colours = self.thumbnails(pixels)
        cells = F.adaptive_avg_pool2d(flow, (colours.shape[-2], colours.shape[-1])) / self.flow_pixels(
            *pixels.shape[-2:]
        )
        return torch.cat((colours, cells.to(colours.dtype)), dim=1)

    @apply_forward_hook
    def decode(self, latents: Tensor) -> DecoderOutput:
        """The thumbnails of latents `(b, 5, h', w')`, upscaled to pixels `(b, 3, cell h', cell w')` in -1..1."""
        colours = F.interpolate(self.colours(latents), scale_factor=self.config.cell, mode="bicubic")
        return DecoderOutput(colours.clamp(-1, 1).to(latents.dtype))

    @apply_forward_hook
    def colours(self, latents: Tensor) -> Tensor:
        """Mean pixel values of the cells, `(b, 3, h', w')` float32 in -1..1."""
        back = torch.linalg.inv(self.to_colours.float())
        return torch.einsum("bkhw,ck->bchw", latents[:, :COLOURS].float(), back)

    def flow(self, latents: Tensor, height: int, width: int) -> Tensor:
        """The backward flow of each cell of latents `(f, 5, h', w')`, `(f, 2, h', w')`, in pixels of a frame."""
        return latents[:, COLOURS:].float() * self.flow_pixels(height, width)

    def at_rest(self, latents: Tensor) -> Tensor:
        """Latents `(b, 5, ...)` of the same pictures without flow, as first frames of a clip."""
        return torch.cat((latents[:, :COLOURS], torch.zeros_like(latents[:, COLOURS:])), dim=1)

    def thumbnails(self, pixels: Tensor) -> Tensor:
        """Colour channels `(b, 3, h', w')`."""
        rows, columns = (max(1, round(side / self.config.cell)) for side in pixels.shape[-2:])
        return torch.einsum("bchw,kc->bkhw", F.adaptive_avg_pool2d(pixels, (rows, columns)), self.to_colours)

    def flow_pixels(self, height: int, width: int) -> float:
        """Pixels of flow that a latent of 1 stands for."""
        return self.config.flow_unit * math.sqrt(height * width)
