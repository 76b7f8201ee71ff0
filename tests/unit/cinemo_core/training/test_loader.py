"""A run's clips are the same in any process at any time; broken ones are skipped, counted and named."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cinemo_core.training import files
from cinemo_core.training.dataset import list_videos
from cinemo_core.training.errors import DatasetError
from cinemo_core.training.files import FsspecFiles
from cinemo_core.training.loader import Clip, Clips, LatentCache, load_clips, micro_batches
from cinemo_core.training.preflight import histogram, look
from tests.datasets import training, write_folder


def open_clips(folder: Path, cache: LatentCache | None = None, **data: float) -> Clips:
    found = FsspecFiles(str(folder))
    return Clips(found, list_videos(found), training(folder, data=data).data, seed=7, cache=cache)


def same(one: Clip, other: Clip) -> bool:
    assert one.frames is not None
    assert other.frames is not None
    return torch.equal(one.frames, other.frames) and one.caption == other.caption and one.intensity == other.intensity


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("videos"))


def test_every_epoch_uses_each_video_once_in_its_own_order(folder: Path) -> None:
    clips = open_clips(folder)
    captions = [clips[number].caption for number in range(36)]
    epochs = [captions[:12], captions[12:24], captions[24:]]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_clip_is_the_same_in_any_process_and_order(folder: Path) -> None:
    here = load_clips(open_clips(folder), iter([[0, 1], [2, 3]]), workers=0)
    elsewhere = load_clips(open_clips(folder), iter([[3], [1]]), workers=1)
    clips = {clip.number: clip for batch in here for clip in batch}
    again = {clip.number: clip for batch in elsewhere for clip in batch}
    assert set(clips) == {0, 1, 2, 3}
    assert all(same(clips[number], clip) for number, clip in again.items())
    assert not same(clips[0], open_clips(folder)[12]), "the next epoch cuts other clips"


def test_processes_and_micro_batches_share_a_steps_clips_completely(folder: Path) -> None:
    config = training(folder, batch_size=12, gradient_accumulation_steps=2, steps=3)
    for processes in (1, 3):
        shares = [micro_batches(config, 0, processes, process) for process in range(processes)]
        parts = [sorted(chain(*together)) for together in zip(*shares, strict=True)]
        assert len(parts) == 6
        assert [parts[step] + parts[step + 1] for step in (0, 2, 4)] == [
            list(range(first, first + 12)) for first in (0, 12, 24)
        ]
    assert list(micro_batches(config, 2)) == list(micro_batches(config, 0))[4:]
    with pytest.raises(DatasetError, match="5 processes"):
        list(micro_batches(config, 0, processes=5))


def test_broken_videos_are_skipped_and_named(folder: Path, tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "000005.mp4").write_bytes(b"not a video")
    clips = open_clips(tmp_path, max_broken_share=0.1)
    found = [clips[number] for number in range(12)]
    assert all(clip.frames is not None for clip in found)
    assert {name for clip in found for name in clip.broken} == {"000005.mp4"}
    preflight = look(clips)
    assert list(preflight.broken) == ["000005.mp4"]
    assert sum(preflight.buckets) == preflight.sampled == 12


@dataclass(frozen=True)
class LosingFiles(FsspecFiles):
    """Fails the first reads of each file."""

    losses: int = 0
    reads: Counter[str] = field(default_factory=Counter)

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        self.reads[name] += 1
        if self.reads[name] <= self.losses:
            raise ConnectionResetError("reset by peer")
        return super().read(name, start, length)


def test_a_failed_read_is_retried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PAUSES", (0, 0))
    clips = open_clips(folder)
    clips.files = LosingFiles(str(folder), losses=2)
    assert same(clips[0], open_clips(folder)[0])
    clips.files = LosingFiles(str(folder), losses=3)
    with pytest.raises(DatasetError, match="cannot be read: reset by peer"):
        clips[0]


def test_a_video_that_is_deleted_during_the_run_is_skipped_and_named(tmp_path: Path) -> None:
    clips = open_clips(write_folder(tmp_path), max_broken_share=0.1)
    (tmp_path / "000005.mp4").unlink()
    found = [clips[number] for number in range(12)]
    assert {name for clip in found for name in clip.broken} == {"000005.mp4"}


def test_batches_are_requested_as_they_are_needed(folder: Path) -> None:
    batches = load_clips(open_clips(folder), ([number] for number in count()), workers=0)
    assert [clip.number for _, batch in zip(range(3), batches, strict=False) for clip in batch] == [0, 1, 2]


def test_too_many_broken_videos_end_the_run_and_some_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for name in ("000001", "000002", "000003"):
        (tmp_path / f"{name}.mp4").write_bytes(b"not a video")
    message = r"of 12 videos are unusable; data\.max_broken_share allows 1: 00000\d.mp4: not a readable"
    with pytest.raises(DatasetError, match=message):
        look(open_clips(tmp_path, max_broken_share=0.1))


def test_cached_latents_replace_frames(folder: Path, tmp_path: Path) -> None:
    cache = LatentCache(tmp_path, "a codec")
    clips = open_clips(folder, cache, variants=2)
    first = clips[0]
    assert first.frames is not None
    assert first.cache_file is not None
    latents = torch.randn(16, 8, 4, 6).half()
    save_file({"latents": latents, "intensity": torch.tensor(first.intensity)}, first.cache_file)
    known = clips[0]
    assert known.frames is None
    assert known.latents is not None
    assert torch.equal(known.latents, latents)
    assert known.intensity == first.intensity
    other = open_clips(folder, LatentCache(tmp_path, "another codec"), variants=2)[0]
    assert other.frames is not None, "another codec's latents are others"
    first.cache_file.write_bytes(b"cut sho")
    assert clips[0].frames is not None, "a damaged cache file is made again"


def test_cached_clips_repeat_after_all_variants(folder: Path, tmp_path: Path) -> None:
    clips = open_clips(folder, LatentCache(tmp_path, "a codec"), variants=2)
    files = [{clips[number].cache_file for number in range(first, first + 12)} for first in (0, 12, 24)]
    assert files[0] == files[2]
    assert not files[0] & files[1]


def test_the_preflight_histogram_has_a_bar_for_each_bucket(folder: Path) -> None:
    import io

    from PIL import Image

    picture = Image.open(io.BytesIO(histogram(look(open_clips(folder)))))
    assert picture.format == "PNG"
    assert len(picture.getcolors(100_000) or []) > 2
