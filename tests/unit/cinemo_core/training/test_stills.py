"""Photos set in motion during a run: clips depend on seed and number, with one size per step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cinemo_core.training.errors import DatasetError
from cinemo_core.training.files import FsspecFiles
from cinemo_core.training.loader import Clip
from cinemo_core.training.motions import MOTIONS
from cinemo_core.training.stills import MovingStills, drawn_captions, list_stills
from tests.datasets import training, write_photos


def open_stills(folder: Path, seed: int = 7, **data: Any) -> MovingStills:
    files = FsspecFiles(str(folder))
    config = training(folder, data={"kind": "stills", "strong_score": 0, **data}).data
    return MovingStills(files, list_stills(files), config, seed, batch_size=4)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"))


def same(one: Clip, other: Clip) -> bool:
    assert one.frames is not None
    assert other.frames is not None
    assert one.flow is not None
    assert other.flow is not None
    reported = (one.caption, one.intensity) == (other.caption, other.intensity)
    return reported and torch.equal(one.frames, other.frames) and torch.equal(one.flow, other.flow)


def test_equal_numbers_give_equal_clips_whatever_came_before(photos: Path) -> None:
    clips = open_stills(photos)
    before = [clips[number] for number in range(6)]
    assert same(open_stills(photos)[5], before[5])
    assert not same(before[5], before[3])
    assert not same(before[5], open_stills(photos, seed=8)[5])


def test_a_clip_begins_at_rest_and_its_flow_is_averaged_over_cells(photos: Path) -> None:
    found = [open_stills(photos)[number] for number in range(12)]
    for clip in found:
        assert clip.frames is not None
        assert clip.flow is not None
        assert clip.frames.shape == (8, 32, 48, 3)
        assert clip.flow.shape == (8, 2, 4, 6)
        assert not clip.flow[0].any()
        assert clip.caption
        assert 0 <= clip.intensity <= 19
    assert any(clip.flow is not None and clip.flow[-1].abs().mean() > 1 for clip in found)


def test_all_clips_of_a_step_have_one_size_and_every_size_is_used(photos: Path) -> None:
    clips = open_stills(photos, more_sizes=[{"width": 32, "height": 48}, {"width": 40, "height": 40}])
    sizes = [tuple(clip.frames.shape[1:3]) for n in range(48) if (clip := clips[n]).frames is not None]
    steps = [set(sizes[first : first + 4]) for first in range(0, 48, 4)]
    assert all(len(step) == 1 for step in steps)
    assert set(sizes) == {(32, 48), (48, 32), (40, 40)}


def test_a_broken_photo_is_skipped_and_named(tmp_path: Path) -> None:
    write_photos(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"not a photo")
    whole = (tmp_path / "chelsea.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    clips = open_stills(tmp_path, max_broken_share=0.5)
    found = [clips[number] for number in range(24)]
    assert all(clip.frames is not None for clip in found)
    assert {name for clip in found for name in clip.broken} == {"broken.jpg", "cut.png"}


def test_a_folder_without_photos_gets_a_list_of_supported_suffixes(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a video")
    with pytest.raises(DatasetError, match=r"no photo: looked for \*\.jpg"):
        list_stills(FsspecFiles(str(tmp_path)))


def test_words_are_learned_from_every_phrase_of_every_motion() -> None:
    captions = drawn_captions(0)
    phrases = {phrase for motion in MOTIONS.values() for phrase in motion.phrases}
    assert {phrase for phrase in phrases if not any(phrase in caption for caption in captions)} == set()


def test_an_example_is_always_the_same_part_of_its_photo(photos: Path) -> None:
    (frame, caption), (again, _) = (open_stills(photos).example(1) for _ in range(2))
    assert frame.shape == (32, 48, 3)
    assert caption
    assert np.array_equal(frame, again)
