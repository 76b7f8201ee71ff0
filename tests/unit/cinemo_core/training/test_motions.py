"""Training clips move as their prompts say, and the quality metric agrees."""

from functools import cache

import numpy as np
import pytest

from cinemo_core import motion_score
from cinemo_core.media import Frames
from cinemo_core.training.motions import MOTIONS, describe, render, window
from cinemo_core.training.quality import PANS, ZOOMS, pans_right_way, zooms_right_way
from cinemo_core.training.recognize import recognize
from cinemo_core.training.sources import HELD_OUT, Picture, dead_leaves, load_photos, photo_path


@cache
def photo() -> Picture:
    return load_photos()[1]


def clip(motion: str, speed: float, seed: int = 0) -> Frames:
    rng = np.random.default_rng(seed)
    still = window(photo(), 96, 144, rng)
    return render(still, (MOTIONS[motion],), speed, 16, 96, 144)[0].numpy()


@pytest.mark.parametrize("prompt", PANS)
def test_a_pan_moves_the_content_the_other_way_and_is_measured(prompt: str) -> None:
    frames = clip(prompt, 1.0)
    down, right = PANS[prompt]
    assert pans_right_way(frames, (down, right))
    assert not pans_right_way(frames, (-down, -right))
    assert not pans_right_way(frames, (right, down))
    assert not pans_right_way(np.repeat(frames[:1], 16, axis=0), (down, right)), "standing still is no pan"


@pytest.mark.parametrize("prompt", ZOOMS)
def test_a_zoom_moves_the_content_from_or_to_the_centre_and_is_measured(prompt: str) -> None:
    frames = clip(prompt, 1.0)
    assert zooms_right_way(frames, ZOOMS[prompt])
    assert not zooms_right_way(frames, -ZOOMS[prompt])
    assert not zooms_right_way(np.repeat(frames[:1], 16, axis=0), ZOOMS[prompt])


@pytest.mark.parametrize("name", MOTIONS)
def test_every_motion_begins_at_rest_and_grows_with_its_speed(name: str) -> None:
    slow, fast = clip(name, 0.5), clip(name, 1.5)
    assert np.abs(slow[0].astype(int) - fast[0]).mean() < 6, "the first frame is the still, whatever the speed"
    assert motion_score(fast) < motion_score(slow) < 1


@pytest.mark.parametrize("name", MOTIONS)
def test_a_motion_is_recognized_among_all_the_others(name: str) -> None:
    assert recognize(clip(name, 1.1)[:, 16:80, 24:120]) == name


def test_a_motion_is_recognized_whichever_photo_was_seen_before() -> None:
    for name, seed in (("waves", 0), ("pan left", 1), ("swirl", 0)):
        assert recognize(clip(name, 1.1, seed)[:, 16:80, 24:120]) == name


def test_a_still_clip_shows_no_motion() -> None:
    assert recognize(np.repeat(clip("waves", 1.0)[:1], 16, axis=0)) is None


@pytest.mark.parametrize("name", MOTIONS)
def test_prompts_name_their_motion(name: str) -> None:
    rng = np.random.default_rng(0)
    prompts = {describe((MOTIONS[name],), rng) for _ in range(60)}
    assert len(prompts) > 5
    assert all(any(phrase in prompt for phrase in MOTIONS[name].phrases) for prompt in prompts)


def test_evaluation_photos_are_never_trained_on() -> None:
    from PIL import Image

    held_out = [np.asarray(Image.open(photo_path(name)).convert("RGB")) for name in HELD_OUT]
    assert HELD_OUT == ("astronaut.png", "coffee.png")
    assert not any(np.array_equal(photo, other) for photo in load_photos() for other in held_out)


def test_textures_depend_only_on_the_seed() -> None:
    one, again, other = (dead_leaves(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
