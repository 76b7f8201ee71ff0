"""The same network without any optimization: the baseline of the optimized one, and the check of its results.

Clips travel as `b c f h w`; frames are folded for every convolution and unfolded after it; each frame carries its own
copy of the text, projected anew in every block and step; attention is written out. It reads a `CinemoUNet`'s state dict
by name.
"""

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_timestep_embedding
from einops import rearrange, repeat
from torch import Tensor, nn

from cinemo_core import CinemoUNet
from cinemo_core.temporal import relative_position_bucket


class ReferenceUNet(nn.Module):
    """Gives `CinemoUNet`'s results with its weights, without optimizations."""

    def __init__(self, unet: CinemoUNet) -> None:
        super().__init__()
        self.weights = {name: weight.contiguous() for name, weight in unet.state_dict().items()}
        self.config = unet.config
        self.dtype, self.device = unet.dtype, unet.device
        # A pipeline merges its adapters, here none, before each clip.
        self.merged = unet.merged

    def prepare(self, text: Tensor, frames: int) -> Tensor:
        """Prepare nothing."""
        return text

    def forward(
        self, residual: Tensor, timestep: int, text: Tensor, image_latent: Tensor, bucket: Tensor, features: None = None
    ) -> Tensor:
        """As `CinemoUNet.forward`."""
        batch = residual.shape[0]
        time = self.embed("time_embedding", torch.full((batch,), timestep), self.config.block_out_channels[0])
        time = time + self.embed("add_embedding", bucket, self.config.addition_time_embed_dim)
        x = self.conv("conv_in", torch.cat((image_latent, residual + image_latent), dim=2))
        skips, levels = [x], len(self.config.block_out_channels)
        for level in range(levels):
            for layer in range(self.config.layers_per_block):
                x = self.resnet(f"down_blocks.{level}.resnets.{layer}", x, time)
                if level < levels - 1:
                    x = self.transformer(f"down_blocks.{level}.attentions.{layer}", x, text)
                skips.append(x)
            if level < levels - 1:
                x = self.conv(f"down_blocks.{level}.downsamplers.0.conv", x, stride=2)
                skips.append(x)
        x = self.resnet("mid_block.resnets.0", x, time)
        x = self.transformer("mid_block.attentions.0", x, text)
        x = self.resnet("mid_block.resnets.1", x, time)
        for level in range(levels):
            for layer in range(self.config.layers_per_block + 1):
                x = self.resnet(f"up_blocks.{level}.resnets.{layer}", torch.cat((x, skips.pop()), dim=1), time)
                if level > 0:
                    x = self.transformer(f"up_blocks.{level}.attentions.{layer}", x, text)
            if level < levels - 1:
                x = F.interpolate(x, size=(x.shape[2], *skips[-1].shape[-2:]), mode="nearest")
                x = self.conv(f"up_blocks.{level}.upsamplers.0.conv", x)
        x = self.conv("conv_out", F.silu(self.group_norm("conv_norm_out", x, self.config.norm_eps)))
        return x[:, :, 1:]

    def resnet(self, name: str, x: Tensor, time: Tensor) -> Tensor:
        """`x (b, c, f, h, w)`, `time (b, d)`."""
        h = self.conv(f"{name}.conv1", F.silu(self.group_norm(f"{name}.norm1", x, self.config.norm_eps)))
        h = h + self.linear(f"{name}.time_emb_proj", F.silu(time))[:, :, None, None, None]
        h = self.conv(f"{name}.conv2", F.silu(self.group_norm(f"{name}.norm2", h, self.config.norm_eps)))
        return h + (self.conv(f"{name}.conv_shortcut", x) if f"{name}.conv_shortcut.weight" in self.weights else x)

    def transformer(self, name: str, x: Tensor, text: Tensor) -> Tensor:
        """`x (b, c, f, h, w)`, `text (b, m, d)`."""
        frames, height = x.shape[2], x.shape[3]
        block = f"{name}.transformer_blocks.0"
        h = self.group_norm(f"{name}.norm", rearrange(x, "b c f h w -> (b f) c h w"), 1e-6)
        h = F.conv2d(h, self.weights[f"{name}.proj_in.weight"], self.weights[f"{name}.proj_in.bias"])
        h = rearrange(h, "bf c h w -> bf (h w) c")
        normed = self.layer_norm(f"{block}.norm1", h)
        h = h + self.attention(f"{block}.attn1", normed, normed)
        copies = repeat(text, "b m d -> (b f) m d", f=frames)
        h = h + self.attention(f"{block}.attn2", self.layer_norm(f"{block}.norm2", h), copies)
        pixels = rearrange(self.layer_norm(f"{block}.norm_temp", h), "(b f) n c -> (b n) f c", f=frames)
        attended = self.temporal_attention(f"{block}.attn_temp", pixels)
        h = h + rearrange(attended, "(b n) f c -> (b f) n c", n=h.shape[1])
        value, gate = self.linear(f"{block}.ff.net.0.proj", self.layer_norm(f"{block}.norm3", h)).chunk(2, dim=-1)
        h = h + self.linear(f"{block}.ff.net.2", value * F.gelu(gate))
        h = rearrange(h, "bf (h w) c -> bf c h w", h=height)
        h = F.conv2d(h, self.weights[f"{name}.proj_out.weight"], self.weights[f"{name}.proj_out.bias"])
        return x + rearrange(h, "(b f) c h w -> b c f h w", f=frames)

    def attention(self, name: str, x: Tensor, context: Tensor) -> Tensor:
        """`x (b, n, c)` over `context (b, m, d)`."""
        q = self.split_heads(self.linear(f"{name}.to_q", x))
        k = self.split_heads(self.linear(f"{name}.to_k", context))
        v = self.split_heads(self.linear(f"{name}.to_v", context))
        scores = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
        return self.linear(f"{name}.to_out.0", rearrange(scores @ v, "b h n d -> b n (h d)"))

    def temporal_attention(self, name: str, x: Tensor) -> Tensor:
        """`x (b n, f, c)`."""
        q, k, v = (self.split_heads(self.linear(f"{name}.to_{part}", x)) for part in "qkv")
        freqs = self.weights[f"{name}.rotary_emb.freqs"].float()
        q, k = rotate(q * q.shape[-1] ** -0.5, freqs), rotate(k, freqs)
        place = torch.arange(x.shape[1], device=x.device)
        table = self.weights[f"{name}.time_rel_pos_bias.relative_attention_bias.weight"]
        bias = rearrange(table[relative_position_bucket(place[:, None] - place[None, :])], "q k h -> h q k")
        scores = (q @ k.transpose(-1, -2) + bias).softmax(dim=-1)
        return self.linear(f"{name}.to_out.0", rearrange(scores @ v, "b h n d -> b n (h d)"))

    def split_heads(self, x: Tensor) -> Tensor:
        return rearrange(x, "b n (h d) -> b h n d", h=self.config.attention_head_dim)

    def embed(self, name: str, value: Tensor, width: int) -> Tensor:
        """Sinusoidal embedding of a number `(b,)` and its two layers."""
        sinusoid = get_timestep_embedding(
            value, width, self.config.flip_sin_to_cos, downscale_freq_shift=self.config.freq_shift
        )
        sinusoid = sinusoid.to(self.weights["conv_in.weight"])
        return self.linear(f"{name}.linear_2", F.silu(self.linear(f"{name}.linear_1", sinusoid)))

    def conv(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        """Convolve frame by frame over `x (b, c, f, h, w)`."""
        weight, frames = self.weights[f"{name}.weight"], x.shape[2]
        folded = rearrange(x, "b c f h w -> (b f) c h w")
        folded = F.conv2d(folded, weight, self.weights[f"{name}.bias"], stride=stride, padding=weight.shape[-1] // 2)
        return rearrange(folded, "(b f) c h w -> b c f h w", f=frames)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def group_norm(self, name: str, x: Tensor, eps: float) -> Tensor:
        groups = self.config.norm_num_groups
        return F.group_norm(x, groups, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], eps)

    def layer_norm(self, name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])


def rotate(x: Tensor, freqs: Tensor) -> Tensor:
    """Rotate the first pairs of features of `x (b, h, f, d)` by their position."""
    angle = torch.arange(x.shape[2], device=x.device)[:, None] * freqs
    turned, kept = x[..., : 2 * len(freqs)], x[..., 2 * len(freqs) :]
    even, odd = rearrange(turned, "... (d two) -> two ... d", two=2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    pairs = torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1)
    return torch.cat((rearrange(pairs, "... d two -> ... (d two)"), kept), dim=-1)
