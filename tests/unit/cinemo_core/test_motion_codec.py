"""The motion codec: thumbnails and flow at any size and shape, with the interface of a VAE."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cinemo_core.motion_codec import MotionCodec

CODEC = MotionCodec(cell=16)


def pixels(height: int = 32, width: int = 48, frames: int = 2) -> Tensor:
    return torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def latents(frames: Tensor, codec: MotionCodec = CODEC) -> Tensor:
    encoded: Tensor = codec.encode(frames).latent_dist.mode()
    return encoded


def test_the_mean_colour_of_each_cell_is_preserved() -> None:
    frames = pixels()
    torch.testing.assert_close(CODEC.colours(latents(frames)), F.avg_pool2d(frames, 16), rtol=1e-4, atol=1e-5)


def test_a_picture_of_one_colour_is_preserved() -> None:
    plain = torch.tensor([0.5, -0.25, 0.75])[None, :, None, None].expand(1, 3, 32, 48)
    decoded = CODEC.decode(latents(plain)).sample
    torch.testing.assert_close(decoded, plain.contiguous(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(128, 192), (64, 96), (192, 128), (512, 768)])
def test_a_motion_has_the_same_latents_at_every_size_and_shape(height: int, width: int) -> None:
    right = 0.1 * math.sqrt(height * width)
    flow = torch.stack((torch.full((height, width), right), torch.zeros(height, width)))[None]
    encoded = CODEC.encode_clip(pixels(height, width, 1), flow)
    torch.testing.assert_close(encoded[:, 3], torch.full_like(encoded[:, 3], 2.0))
    assert not encoded[:, 4].any()
    there = CODEC.flow(encoded, height, width)
    torch.testing.assert_close(there[:, 0], torch.full_like(there[:, 0], right))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 200), (120, 208), (136, 176), (88, 72)])
def test_any_multiple_of_eight_is_a_valid_size(height: int, width: int) -> None:
    rows, columns = (max(1, round(side / 16)) for side in (height, width))
    flow = torch.ones(2, 2, height // 8, width // 8)
    assert latents(pixels(height, width)).shape == (2, 5, rows, columns)
    assert CODEC.encode_clip(pixels(height, width), flow).shape == (2, 5, rows, columns)


def test_flow_can_be_given_on_any_grid_at_least_as_fine_as_the_cells() -> None:
    fine = torch.randn(2, 2, 32, 48, generator=torch.Generator().manual_seed(1))
    whole, cells = (CODEC.encode_clip(pixels(), flow) for flow in (fine, F.avg_pool2d(fine, 8)))
    torch.testing.assert_close(whole, cells, rtol=1e-4, atol=1e-5)


def test_a_frame_at_rest_equals_the_encoding_of_its_picture_alone() -> None:
    moving = CODEC.encode_clip(pixels(), torch.ones(2, 2, 4, 6))
    assert moving[:, 3:].all()
    assert torch.equal(CODEC.at_rest(moving), latents(pixels()))


def test_saving_and_loading_preserves_the_codec(tmp_path: Path) -> None:
    codec = MotionCodec(cell=24, lightness_scale=1.5, flow_unit=0.1)
    codec.save_pretrained(tmp_path)
    loaded = MotionCodec.from_pretrained(tmp_path)
    moving = torch.ones(2, 2, 4, 6)
    assert torch.equal(loaded.encode_clip(pixels(), moving), codec.encode_clip(pixels(), moving))
    assert not torch.equal(latents(pixels(), loaded), latents(pixels()))
