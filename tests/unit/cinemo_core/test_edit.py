"""Editing: a video's motion, found by inverting its residuals, transfers to another first frame."""

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from cinemo_core import CinemoPipeline, InvalidVideo
from cinemo_core.media import Frames
from cinemo_core.training.quality import shift
from cinemo_core.training.sources import held_out
from tests.films import film

STEPS = 20
"""Fewer than a user would take: the motion carries over, if not as far."""


def travel(frames: Frames) -> np.ndarray:
    """How far the content moved from the first frame to the last, `(down, right)` in pixels."""
    return np.sum([shift(one, other) for one, other in pairwise(frames[::3])], axis=0)


@pytest.mark.parametrize(("down", "right"), [(0, 20), (0, -20), (-14, 0)])
def test_a_held_out_clips_motion_transfers_to_another_photo(
    tiny: CinemoPipeline, coffee: Image.Image, down: int, right: int
) -> None:
    source = film(held_out()["astronaut"], down, right)
    given, taken = travel(source), travel(tiny.edit(source, coffee, num_inference_steps=STEPS, detail="off"))
    assert np.linalg.norm(taken) > 0.2 * np.linalg.norm(given)
    assert given @ taken / (np.linalg.norm(given) * np.linalg.norm(taken)) > 0.9


def test_editing_a_video_with_its_own_first_frame_reproduces_it(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    source = film(coffee, 0, 20)
    frames = tiny.edit(source, Image.fromarray(source[0]), num_inference_steps=STEPS, detail="off")
    assert np.array_equal(frames[0], source[0])
    still = np.repeat(source[:1], len(source), axis=0)
    psnr = [peak_signal_noise_ratio(source[8:], each[8:]) for each in (frames, still)]
    assert psnr[0] > psnr[1] + 3, "far closer to the video than its first frame is"


@pytest.mark.parametrize("shape", [(7, 96, 144, 3), (33, 96, 144, 3), (16, 96, 144), (16, 96, 144, 4)])
def test_invalid_clips_are_rejected(tiny: CinemoPipeline, coffee: Image.Image, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidVideo, match="from 8 to 32"):
        tiny.edit(np.zeros(shape, np.uint8), coffee)


def test_frames_that_are_not_bytes_are_rejected(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    with pytest.raises(InvalidVideo, match="uint8"):
        tiny.edit(np.zeros((16, 96, 144, 3), np.float32), coffee)
