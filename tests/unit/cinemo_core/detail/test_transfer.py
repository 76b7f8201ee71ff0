import numpy as np
import pytest
import torch

from cinemo_core.detail import analyse, estimate, interpolate, transfer
from cinemo_core.detail.warp import resize
from tests.unit.cinemo_core.detail.scenes import Scene, pan, psnr


def video(scene: Scene, frame_rate_factor: int = 1) -> torch.Tensor:
    frames = np.stack(list(transfer(scene.full_bytes, scene.small_bytes, frame_rate_factor=frame_rate_factor)))
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


def test_the_first_frame_is_exactly_the_photo() -> None:
    scene = pan()
    assert np.array_equal(next(transfer(scene.full_bytes, scene.small_bytes)), scene.full_bytes)


def test_a_still_clip_stays_the_photo() -> None:
    scene = pan(step=0)
    assert psnr(video(scene)[-1], scene.truth[0]) > 40


def test_a_pan_is_sharper_than_the_generation_enlarged() -> None:
    scene = pan()
    sharp = video(scene)
    for index in range(1, 5):
        plain = resize(scene.small[index], *scene.truth.shape[-2:])
        assert psnr(sharp[index], scene.truth[index]) > psnr(plain, scene.truth[index]) + 3


def test_fading_light_of_a_clip_is_followed() -> None:
    scene = pan(step=0)
    fade = torch.linspace(1, 0.6, 5)[:, None, None, None]
    faded = Scene(torch.cat((scene.truth[:1], scene.truth[1:] * fade[1:])), scene.small * fade, scene.flow)
    assert psnr(video(faded)[-1], faded.truth[-1]) > 31


def test_interpolated_frames_are_evenly_spaced_in_time() -> None:
    frames = video(pan(), frame_rate_factor=3)
    assert len(frames) == 1 + 3 * 4
    fine = pan(step=0.5, frames=12)
    assert all(psnr(frame, truth) > 30 for frame, truth in zip(frames, fine.truth, strict=True))


def test_a_factor_of_1_leaves_the_frames_unchanged() -> None:
    scene = pan()
    analysis = analyse(scene.small[0], scene.small[1:], estimate(scene.small[0], scene.small[1:]))
    for one, other in zip(interpolate(scene.small[0], analysis, 1), analysis, strict=True):
        assert torch.equal(one.flow, other.flow)
        assert torch.equal(one.offset, other.offset)


def test_frames_are_generated_one_at_a_time() -> None:
    frames = transfer(pan().full_bytes, pan().small_bytes)
    assert not isinstance(frames, list)
    assert len(list(frames)) == 5


@pytest.mark.parametrize("size", [(96, 54), (41, 67)])
def test_any_shape_is_supported(size: tuple[int, int]) -> None:
    scene = pan(size=size)
    assert video(scene).shape == scene.truth.shape


def test_a_clip_of_one_frame_is_supported() -> None:
    scene = pan()
    assert len(list(transfer(scene.full_bytes, scene.small_bytes[:1]))) == 1


def test_the_models_own_flow_is_followed() -> None:
    scene = pan()
    frames = list(transfer(scene.full_bytes, scene.small_bytes, flow=scene.flow))
    last = torch.from_numpy(frames[-1]).permute(2, 0, 1).float() / 255
    seen = slice(None, -32)
    assert psnr(last[..., seen], scene.truth[-1][..., seen]) > 32


def test_detail_is_computed_in_float32_whatever_the_networks_precision() -> None:
    scene = pan()
    plain = video(scene)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(video(scene), plain)
