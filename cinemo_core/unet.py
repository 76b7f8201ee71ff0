"""CinemoUNet: the wiring of the network that predicts the noise on motion residuals.

State-dict names, shapes and numbers are those of the published model; it knows nothing of schedulers or sampling.
Source: arXiv 2407.15642, section 3.2.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import PeftAdapterMixin
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from einops import rearrange
from torch import Tensor, nn

from cinemo_core.layers import BlockContext, Downsample, ResnetBlock, Upsample, VideoTransformer
from cinemo_core.merging import Merged
from cinemo_core.norms import GroupNorm
from cinemo_spec.card import ModelCard


@dataclass(frozen=True)
class ClipContext:
    """What the network derives from a clip's text and length, computed once for all denoising steps."""

    blocks: tuple[BlockContext, ...]


@dataclass
class FeatureCache:
    """Last output of the levels below the first, `((b f), c, h, w)`, which changes little between adjacent steps.

    Source: DeepCache, arXiv 2312.00858. Set `deep` to None to recompute it.
    """

    deep: Tensor | None = None


class DownBlock(nn.Module):
    """Resnets, each followed by a transformer where the level has attention, then a downsampling."""

    def __init__(self, resnets: list[ResnetBlock], attentions: list[VideoTransformer], downsample: Downsample | None):
        super().__init__()
        self.attentions = nn.ModuleList(attentions)
        self.resnets = nn.ModuleList(resnets)
        self.downsamplers = nn.ModuleList([downsample] if downsample else [])

    def forward(self, x: Tensor, time: Tensor, contexts: Iterator[BlockContext], frames: int) -> list[Tensor]:
        """Return the output of each step, `((b f), c, h, w)`: the skip connections, the last of them the result."""
        skips = []
        for index, resnet in enumerate(self.resnets):
            x = resnet(x, time, frames)
            if self.attentions:
                x = self.attentions[index](x, next(contexts), frames)
            skips.append(x)
        for downsample in self.downsamplers:
            x = downsample(x)
            skips.append(x)
        return skips


class MidBlock(nn.Module):
    """Resnet, transformer, resnet at the lowest resolution."""

    def __init__(self, resnets: list[ResnetBlock], attention: VideoTransformer) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([attention])
        self.resnets = nn.ModuleList(resnets)

    def forward(self, x: Tensor, time: Tensor, contexts: Iterator[BlockContext], frames: int) -> Tensor:
        """`x ((b f), c, h, w)`; returns the same shape."""
        x = self.resnets[0](x, time, frames)
        x = self.attentions[0](x, next(contexts), frames)
        return self.resnets[1](x, time, frames)


class UpBlock(nn.Module):
    """Resnets over the features joined with their skip connections, transformers, then an upsampling."""

    def __init__(self, resnets: list[ResnetBlock], attentions: list[VideoTransformer], upsample: Upsample | None):
        super().__init__()
        self.attentions = nn.ModuleList(attentions)
        self.resnets = nn.ModuleList(resnets)
        self.upsamplers = nn.ModuleList([upsample] if upsample else [])

    def forward(
        self, x: Tensor, skips: list[Tensor], time: Tensor, contexts: Iterator[BlockContext], frames: int
    ) -> Tensor:
        """`x ((b f), c, h, w)`; takes its skip connections off the end of `skips`."""
        for index, resnet in enumerate(self.resnets):
            x = resnet(torch.cat((x, skips.pop()), dim=1), time, frames)
            if self.attentions:
                x = self.attentions[index](x, next(contexts), frames)
        for upsample in self.upsamplers:
            x = upsample(x, skips[-1].shape[-2:])
        return x


class CinemoUNet(ModelMixin, ConfigMixin, PeftAdapterMixin):
    """Predicts the noise of a clip's motion residuals from the image, the text and the motion bucket.

    The defaults are the published configuration. `attention_head_dim` is the number of heads, as in Stable Diffusion
    1.x.

    Attributes:
        card: recommended settings for the weights, if known; every pipeline that uses them shares it.
        merged: the adapters that are merged into the weights.
    """

    card: ModelCard | None = None

    @register_to_config
    def __init__(
        self,
        in_channels: int = 4,
        out_channels: int = 4,
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        attention_head_dim: int = 8,
        cross_attention_dim: int = 768,
        norm_num_groups: int = 32,
        norm_eps: float = 1e-5,
        addition_embed_type: str = "motion_ids",
        addition_time_embed_dim: int = 256,
        flip_sin_to_cos: bool = True,
        freq_shift: int = 0,
        sample_size: int | None = None,
    ) -> None:
        super().__init__()
        channels = tuple(block_out_channels)
        time_channels = 4 * channels[0]

        def resnet(in_width: int, out_width: int) -> ResnetBlock:
            return ResnetBlock(in_width, out_width, time_channels, norm_num_groups, norm_eps)

        def attention(width: int) -> VideoTransformer:
            return VideoTransformer(width, attention_head_dim, cross_attention_dim, norm_num_groups)

        self.conv_in = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.time_proj = Timesteps(channels[0], flip_sin_to_cos, freq_shift)
        self.time_embedding = TimestepEmbedding(channels[0], time_channels)
        self.add_time_proj = Timesteps(addition_time_embed_dim, flip_sin_to_cos, freq_shift)
        self.add_embedding = TimestepEmbedding(addition_time_embed_dim, time_channels)

        self.down_blocks = nn.ModuleList()
        skip_widths = [channels[0]]
        width, lowest = channels[0], len(channels) - 1
        for level, out_width in enumerate(channels):
            widths = [(width if layer == 0 else out_width) for layer in range(layers_per_block)]
            resnets = [resnet(in_width, out_width) for in_width in widths]
            attentions = [] if level == lowest else [attention(out_width) for _ in resnets]
            self.down_blocks.append(DownBlock(resnets, attentions, None if level == lowest else Downsample(out_width)))
            skip_widths += [out_width] * (layers_per_block + (level != lowest))
            width = out_width

        self.mid_block = MidBlock([resnet(width, width), resnet(width, width)], attention(width))

        self.up_blocks = nn.ModuleList()
        for level in reversed(range(len(channels))):
            resnets = []
            for _ in range(layers_per_block + 1):
                resnets.append(resnet(width + skip_widths.pop(), channels[level]))
                width = channels[level]
            attentions = [] if level == lowest else [attention(width) for _ in resnets]
            self.up_blocks.append(UpBlock(resnets, attentions, Upsample(width) if level > 0 else None))

        self.merged = Merged()
        self.conv_norm_out = GroupNorm(norm_num_groups, channels[0], norm_eps)
        self.conv_out = nn.Conv2d(channels[0], out_channels, 3, padding=1)

    @apply_forward_hook
    def prepare(self, text: Tensor, frames: int) -> ClipContext:
        """Precompute what every denoising step of a clip needs: text `(b, tokens, d)`, residual frames `f`."""
        return ClipContext(tuple(each.prepare(text, frames + 1) for each in self._transformers()))

    def forward(
        self,
        residual: Tensor,
        timestep: Tensor | int,
        text: Tensor | ClipContext,
        image_latent: Tensor,
        motion_bucket: Tensor,
        features: FeatureCache | None = None,
    ) -> Tensor:
        """Predict the noise, or whatever the scheduler's `prediction_type` says the weights were trained for.

        Args:
            residual: noised motion residuals `(b, c, f, h, w)`.
            timestep: scalar or `(b,)`, 0..999.
            text: text encoder states `(b, tokens, d)`, or the result of `prepare` for them and `f` frames.
            image_latent: latent of the input image `(b, c, 1, h, w)`.
            motion_bucket: `(b,)`, on the scale that the weights were trained with.
            features: cache of deep features, filled if empty and reused if not; the result is exact without it.

        Returns:
            The prediction `(b, c, f, h, w)`.
        """
        batch, _, residual_frames, _, _ = residual.shape
        frames = residual_frames + 1
        context = text if isinstance(text, ClipContext) else self.prepare(text, residual_frames)
        time = self._embed(residual, timestep, motion_bucket)
        clip = torch.cat((image_latent, residual + image_latent), dim=2)
        x = rearrange(clip, "b c f h w -> (b f) c h w", b=batch).contiguous(memory_format=torch.channels_last)

        x = self._run(self.conv_in(x), time, context, frames, features or FeatureCache())
        x = self.conv_out(F.silu(self.conv_norm_out(x, frames)))
        return rearrange(x, "(b f) c h w -> b c f h w", f=frames)[:, :, 1:]

    def _run(self, x: Tensor, time: Tensor, context: ClipContext, frames: int, features: FeatureCache) -> Tensor:
        """Run all levels down and up; those below the first only if their features are not cached."""
        outer, *inner = cast(list[DownBlock], list(self.down_blocks))
        *inner_ups, last = cast(list[UpBlock], list(self.up_blocks))
        contexts = iter(context.blocks)
        skips = [x, *outer(x, time, contexts, frames)]
        outer_skips = skips[: len(last.resnets)]
        if features.deep is None:
            for down in inner:
                skips += down(skips[-1], time, contexts, frames)
            x = self.mid_block(skips[-1], time, contexts, frames)
            for up in inner_ups:
                x = up(x, skips, time, contexts, frames)
            features.deep = x
        last_contexts = iter(context.blocks[len(context.blocks) - len(last.attentions) :])
        return last(features.deep, outer_skips, time, last_contexts, frames)

    def _transformers(self) -> Iterator[VideoTransformer]:
        """All transformers, in the order of a forward pass."""
        for block in (*self.down_blocks, self.mid_block, *self.up_blocks):
            yield from block.attentions

    def _embed(self, residual: Tensor, timestep: Tensor | int, motion_bucket: Tensor) -> Tensor:
        """Sum of the timestep and motion bucket embeddings, `(b, d)`, activated as every block takes it."""
        batch, device, dtype = residual.shape[0], residual.device, residual.dtype
        steps = torch.as_tensor(timestep, device=device).expand(batch)
        time = self.time_embedding(self.time_proj(steps).to(dtype))
        motion = self.add_embedding(self.add_time_proj(motion_bucket.to(device)).to(dtype))
        return F.silu(cast(Tensor, time + motion))
