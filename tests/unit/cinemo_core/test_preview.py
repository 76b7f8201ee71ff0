"""Previews of what the sampler predicts in the middle of its steps."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from skimage.metrics import peak_signal_noise_ratio

from cinemo_core import CinemoPipeline
from cinemo_core.media import Frames, resized
from cinemo_core.preview import LONG_SIDE, encode_preview, linear_colours, preview_frames
from cinemo_spec.marking.statement import SourceType
from cinemo_spec.parameters import SamplerName


def previews(pipe: CinemoPipeline, image: Image.Image, steps: int = 4, **arguments: Any) -> tuple[list[Frames], Frames]:
    """The previews after each step, and the video."""
    seen: list[Frames] = []

    def look(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> None:
        seen.append(state["preview"]())

    settings = {"num_inference_steps": steps, "detail": "off", "callback_on_step_end": look, **arguments}
    return seen, pipe(image, "zoom in", **settings)


def likeness(preview: Frames, video: Frames) -> float:
    """PSNR of a preview's last frame against the video's, in dB."""
    height, width, _ = preview[-1].shape
    return float(peak_signal_noise_ratio(resized(Image.fromarray(video[-1]), (width, height)), preview[-1]))


@pytest.mark.parametrize("sampler", ["ddim", "unipc", "dpm++"])
def test_the_last_preview_looks_like_the_video_with_every_sampler(
    tiny: CinemoPipeline, coffee: Image.Image, sampler: SamplerName
) -> None:
    seen, video = previews(tiny, coffee, sampler=sampler, detail="photo", width=384, height=256)
    assert [len(each) for each in seen] == [8] * 4
    assert seen[-1].shape[1:] == (LONG_SIDE * 2 // 3, LONG_SIDE, 3)
    still = likeness(np.repeat(seen[-1][:1], 8, axis=0), video)
    assert likeness(seen[-1], video) > still + 3, "a zoom, not the photo alone"


def test_previews_begin_with_the_photo(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    seen, video = previews(tiny, coffee, steps=2)
    small = resized(Image.fromarray(video[0]), (LONG_SIDE, LONG_SIDE * 2 // 3))
    assert all(peak_signal_noise_ratio(small, each[0]) > 30 for each in seen)


def test_previews_of_later_clips_continue_the_earlier_ones(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    seen, video = previews(tiny, coffee, steps=3, clips=2, num_frames=8)
    assert len(seen) == 6
    assert likeness(seen[-1], video) > likeness(seen[2], video), "the first clip's end is not the second's"


def test_previews_do_not_change_the_video(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    _, video = previews(tiny, coffee, steps=2)
    assert np.array_equal(video, tiny(coffee, "zoom in", num_inference_steps=2, detail="off"))


def test_another_codecs_colours_are_fitted_from_the_photo_and_its_latents() -> None:
    generator = torch.Generator().manual_seed(0)
    clip = torch.rand(3, 3, 8, 12, generator=generator) * 2 - 1
    mixing, shift = torch.randn(4, 3, generator=generator), torch.randn(4, 1, 1, generator=generator)
    latents = torch.einsum("fchw,kc->fkhw", clip, mixing) + shift
    photo = clip[0].repeat_interleave(8, 1).repeat_interleave(8, 2)
    assert torch.allclose(linear_colours(latents, photo), clip, atol=0.05)


def test_constant_or_overflowing_latents_still_give_pictures() -> None:
    still = np.full((64, 96, 3), 90, np.uint8)
    for value in (0.0, float("nan"), 1e30):
        frames = preview_frames(object(), torch.full((1, 4, 3, 8, 12), value), still, 2)
        assert frames.shape == (3, 8, 12, 3)


def test_a_preview_is_a_small_animation_marked_as_generated(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    seen, _ = previews(tiny, coffee, steps=1)
    file = encode_preview(seen[0], 2.0, SourceType.CREATED)
    assert len(file) < 30_000
    with Image.open(io.BytesIO(file)) as picture:
        durations = [frame.copy().info["duration"] for frame in ImageSequence.Iterator(picture)]
        assert (picture.format, durations) == ("WEBP", [250] * 8)
        assert SourceType.CREATED.url.encode() in picture.info["xmp"]
    assert SourceType.CREATED.url.encode() not in encode_preview(seen[0], 2.0)
