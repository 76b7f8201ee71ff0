"""Sizes, aspect ratios, lengths and chains of clips other than a model was trained with."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cinemo_core import CinemoPipeline, InvalidParameter
from cinemo_core.media import Frames


def animate(pipe: CinemoPipeline, image: Image.Image, **arguments: Any) -> Frames:
    return pipe(image, "pan left", **{"detail": "off", "num_inference_steps": 2, **arguments})


def jumps(frames: Frames) -> list[float]:
    """Mean absolute difference of consecutive frames."""
    return [float(np.abs(one.astype(float) - other).mean()) for one, other in pairwise(frames)]


@pytest.mark.parametrize(("width", "height"), [(16, 16), (64, 120), (152, 88), (40, 200)])
def test_any_multiple_of_eight_is_a_valid_size(
    tiny: CinemoPipeline, coffee: Image.Image, width: int, height: int
) -> None:
    assert animate(tiny, coffee, width=width, height=height).shape == (16, height, width, 3)


@pytest.mark.parametrize("frames", [8, 11, 32])
def test_a_clip_has_8_to_32_frames(tiny: CinemoPipeline, coffee: Image.Image, frames: int) -> None:
    assert len(animate(tiny, coffee, num_frames=frames, width=48, height=32)) == frames


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 100),
        ("width", 0),
        ("height", 8),
        ("height", 4096),
        ("num_frames", 7),
        ("num_frames", 33),
        ("num_frames", 8.5),
        ("clips", 0),
        ("clips", 17),
        ("cache_interval", 0),
        ("decode_chunk_frames", 0),
    ],
)
def test_invalid_arguments_are_rejected_by_name(
    tiny: CinemoPipeline, coffee: Image.Image, name: str, value: float
) -> None:
    with pytest.raises(InvalidParameter, match=name):
        animate(tiny, coffee, **{name: value})


@pytest.mark.parametrize(("name", "value"), [("fit", "squeeze"), ("sampler", "euler")])
def test_an_unknown_word_is_rejected_with_a_list_of_known_ones(
    tiny: CinemoPipeline, coffee: Image.Image, name: str, value: str
) -> None:
    with pytest.raises(InvalidParameter, match=f"{name} must be .* got {value}"):
        animate(tiny, coffee, **{name: value})


def test_padding_keeps_the_whole_picture_between_bars(tiny: CinemoPipeline) -> None:
    white = Image.new("RGB", (300, 100), "white")
    first = animate(tiny, white, fit="pad", width=96, height=96)[0]
    assert first[:30].max() == 0
    assert first[-30:].max() == 0
    assert first[40:56].min() == 255
    assert animate(tiny, white, fit="crop", width=96, height=96)[0].min() == 255


def test_decoding_a_few_frames_at_a_time_gives_the_same_frames(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    whole, parts = (animate(tiny, coffee, decode_chunk_frames=chunk).astype(int) for chunk in (16, 3))
    assert np.abs(whole - parts).max() <= 1


def test_the_first_clip_of_a_chain_equals_a_single_clip(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    arguments: dict[str, Any] = {"detail": "off", "num_inference_steps": 2, "num_frames": 8}
    alone, chain = (tiny.film(coffee, "pan left", clips=clips, **arguments) for clips in (1, 3))
    assert len(chain) == 1 + 3 * 7
    assert np.abs(chain.made[:8].astype(int) - alone.made).max() <= 1
    assert alone.flow is not None
    assert chain.flow is not None
    torch.testing.assert_close(chain.flow[:7], alone.flow, rtol=0, atol=0.01)
    # Light is freed of noise over the whole film, so a frame's brightness knows of those to come.
    assert np.abs(chain.frames()[:8].astype(int) - alone.frames()).mean() < 2


def test_a_chains_seams_are_as_smooth_as_its_clips(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    frames = tiny(coffee, "pan left", motion_intensity=6, clips=3, num_inference_steps=5, detail="off")
    between = jumps(frames)
    seams, inside = [between[15], between[30]], between[1:15]
    assert max(seams) < 1.2 * max(inside)


def test_the_callback_counts_the_steps_of_all_clips(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    steps: list[int] = []

    def note(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> dict[str, Any]:
        steps.append(step)
        return state

    animate(tiny, coffee, clips=2, num_frames=8, callback_on_step_end=note)
    assert steps == [0, 1, 2, 3]
