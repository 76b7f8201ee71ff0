"""Clips as motion latents and back: flow that is estimated if unknown, and chains of clips."""

import pytest
import torch
from torch import Tensor

from cinemo_core import NumbersOverflowed
from cinemo_core.motion_codec import MotionCodec
from cinemo_core.motion_latents import chained, decode_motion, encode_motion
from tests.unit.cinemo_core.detail.scenes import Scene, pan

CODEC, CPU = MotionCodec(cell=16), torch.device("cpu")


def exact(scene: Scene) -> Tensor:
    """The flow of all frames, including the first."""
    return torch.cat((torch.zeros_like(scene.flow[:1]), scene.flow))


def zoom(factors: list[float], height: int = 64, width: int = 96) -> Tensor:
    """Flows of a camera that moves closer, in pixels."""
    y, x = torch.meshgrid(torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2, indexing="ij")
    return torch.stack([torch.stack((x, y)) * (factor - 1) for factor in factors])


def test_two_pans_compose_to_one_twice_as_long() -> None:
    once = torch.stack([torch.full((2, 16, 24), 0.5 * t) for t in range(1, 8)])
    twice = chained([once, once])
    assert twice.shape == (14, 2, 16, 24)
    torch.testing.assert_close(twice[:, 0, 8, 12], 0.5 * torch.arange(1, 15))


def test_two_zooms_compose_to_their_product() -> None:
    clip = zoom([0.98, 0.96, 0.94])
    through = chained([clip, clip])
    torch.testing.assert_close(through[-1], zoom([0.94 * 0.94])[0], rtol=0, atol=0.05)


def test_the_flow_of_a_film_is_estimated_if_unknown() -> None:
    scene = pan(frames=7, size=(96, 144))
    known = encode_motion(CODEC, scene.small_bytes, CPU, exact(scene))
    found = encode_motion(CODEC, scene.small_bytes, CPU)
    assert found.shape == known.shape == (1, 5, 8, 6, 9)
    assert torch.equal(found[:, :3], known[:, :3])
    errors = (found - known)[:, 3:].abs() * CODEC.flow_pixels(96, 144)
    assert errors.mean() < 0.2, "pixels"
    assert known[0, 3, -1].mean() * CODEC.flow_pixels(96, 144) == pytest.approx(7 * 1.5)


def test_a_clip_is_decoded_to_its_photo_thumbnails_and_flow() -> None:
    scene = pan(frames=7, size=(96, 144))
    latents = encode_motion(CODEC, scene.small_bytes, CPU, exact(scene))
    made, flow = decode_motion(CODEC, latents, scene.small_bytes[0], 7)
    assert (made.shape, flow.shape) == (scene.small_bytes.shape, scene.flow.shape)
    assert (made[0] == scene.small_bytes[0]).all()
    assert abs(made[-1].astype(float).mean() - scene.small_bytes[-1].mean()) < 2
    assert (flow - scene.flow).abs().max() < 0.3


def test_the_flow_of_a_later_clip_leads_back_to_the_photo() -> None:
    scene = pan(frames=7, size=(96, 144))
    one = encode_motion(CODEC, scene.small_bytes, CPU, exact(scene))
    _, flow = decode_motion(CODEC, torch.cat((one, one[:, :, 1:]), dim=2), scene.small_bytes[0], 7)
    right = flow[:, 0].mean((1, 2))
    torch.testing.assert_close(right, 1.5 * torch.arange(1, 15), rtol=0, atol=0.3)


def test_latents_that_are_not_finite_are_rejected() -> None:
    latents = torch.zeros(1, 5, 8, 6, 9)
    latents[0, 4, 3, 2, 1] = float("nan")
    with pytest.raises(NumbersOverflowed):
        decode_motion(CODEC, latents, pan().small_bytes[0], 7)
