"""Between frames and latents: chunk sizes, precision, and values that are not finite."""

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from cinemo_core import CinemoPipeline, NumbersOverflowed
from cinemo_core.latents import decode_latents, encode_frames


@pytest.fixture
def overflowing() -> AutoencoderKL:
    """A VAE in float16 whose first layer of the decoder exceeds what float16 holds."""
    torch.manual_seed(0)
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4).eval()
    torch.nn.init.constant_(vae.post_quant_conv.weight, 30_000.0)
    return vae.to(torch.float16)


def test_frames_are_divided_into_even_chunks(tiny: CinemoPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, seen = tiny.vae.decode, []

    def noted(latents: Tensor) -> object:
        seen.append(len(latents))
        return decode(latents)

    monkeypatch.setattr(tiny.vae, "decode", noted)
    latents = torch.randn(1, 16, 17, 4, 6, generator=torch.Generator().manual_seed(0))
    frames = decode_latents(tiny.vae, latents, 16)
    assert seen == [9, 8]
    whole = decode_latents(tiny.vae, latents, 32).astype(int)
    assert np.abs(frames - whole).max() <= 1


@torch.no_grad()
def test_a_vae_that_overflows_in_float16_computes_in_float32(overflowing: AutoencoderKL) -> None:
    assert overflowing.config["force_upcast"]
    frames = decode_latents(overflowing, torch.ones(1, 4, 2, 4, 4), 2)
    assert frames.shape == (2, 4, 4, 3)
    latents = encode_frames(overflowing, frames, torch.device("cpu"), 2)
    assert latents.dtype == torch.float32
    assert overflowing.dtype == torch.float16, "afterwards it takes half of the memory again"


@torch.no_grad()
def test_pixels_that_are_not_finite_raise_an_error(overflowing: AutoencoderKL) -> None:
    overflowing.register_to_config(force_upcast=False)
    with pytest.raises(NumbersOverflowed, match=r"torch\.float32"):
        decode_latents(overflowing, torch.ones(1, 4, 2, 4, 4), 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_latents_that_are_not_finite_are_rejected_before_decoding(tiny: CinemoPipeline, value: float) -> None:
    latents = torch.zeros(1, 16, 8, 4, 6)
    latents[0, 3, 5, 1, 2] = value
    with pytest.raises(NumbersOverflowed):
        decode_latents(tiny.vae, latents, 8)
