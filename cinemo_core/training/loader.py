"""Loads micro-batches of clips from a list of videos, decoding them in worker processes.

The n-th clip of a run depends only on the seed and n, not on processes, batches or earlier clips, so a run can resume
anywhere with the same data. Knows nothing of networks.
"""

import hashlib
import signal
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cinemo_core.media import Frames
from cinemo_core.motion import motion_score
from cinemo_core.sandbox.decoder import Decoder
from cinemo_core.sandbox.limits import DEFAULT_LIMITS, MediaLimits
from cinemo_core.training.decode import decode_clip
from cinemo_core.training.errors import DatasetError
from cinemo_core.training.files import Files
from cinemo_core.training.listing import Listing, Video
from cinemo_spec.errors import InvalidVideo
from cinemo_spec.scale import motion_bucket
from cinemo_spec.training import DataConfig, TrainConfig

PREFETCHED_BATCHES = 4


@dataclass(frozen=True)
class Clip:
    """A training clip.

    Attributes:
        number: index of the clip within the run.
        caption: of its video.
        intensity: its motion intensity, 0 (still) … 19; for a video, its motion bucket.
        frames: uint8 `(f, h, w, 3)`, or None if its latents are known.
        flow: back to the first frame in pixels, mean of each 8x8 of them, `(f, 2, h / 8, w / 8)`; None if unknown.
        latents: `(c, f, h', w')` float16, or None.
        cache_file: where to cache its latents, or None.
        broken: reasons by name of unusable videos that were skipped.
    """

    number: int
    caption: str
    intensity: float
    frames: Tensor | None
    flow: Tensor | None
    latents: Tensor | None
    cache_file: Path | None
    broken: dict[str, str]


@dataclass(frozen=True)
class LatentCache:
    """A folder of encoded clips; `codec` identifies the weights that encoded them."""

    folder: Path
    codec: str

    def file(self, video: Video, variant: int, config: DataConfig, seed: int) -> Path:
        """The cache file of a clip's latents; it depends on everything that determines them."""
        geometry = (config.frames, config.width, config.height, config.min_interval, config.max_interval)
        what = repr((video.name, video.length, variant, geometry, config.strong_score, seed, self.codec))
        return self.folder / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.safetensors"


class Clips(Dataset[Clip]):
    """All clips of a run, by number; each epoch visits every video once, in a new order."""

    def __init__(
        self,
        files: Files,
        listing: Listing,
        config: DataConfig,
        seed: int,
        cache: LatentCache | None = None,
        limits: MediaLimits = DEFAULT_LIMITS,
        batch_size: int = 1,
    ) -> None:
        self.files, self.listing, self.config, self.seed, self.cache = files, listing, config, seed, cache
        # Each process with a copy of this starts its own decoder, and a new one after a video has crashed it.
        self.decoder = Decoder(limits)
        self.batch_size = batch_size
        self._order: tuple[int, Tensor] | None = None

    @property
    def captioned(self) -> int:
        """Number of videos with a caption."""
        return self.listing.captioned

    @property
    def allowed_broken(self) -> int:
        """How many videos may be unusable."""
        return int(self.config.max_broken_share * (len(self.listing.videos) + len(self.listing.broken)))

    def __getitem__(self, number: int) -> Clip:
        """The clip of that number; an unusable video is replaced by the next one of the epoch.

        Raises:
            DatasetError: too many videos are unusable.
        """
        broken: dict[str, str] = {}
        videos = len(self.listing.videos)
        for ahead in range(videos):
            epoch, place = divmod(number, videos)
            index = int(self._epoch_order(epoch)[(place + ahead) % videos])
            try:
                return replace(self._cut(number, epoch, index), broken=broken)
            except InvalidVideo as error:
                broken[self.listing.videos[index].name] = str(error)
            check_broken(self, {**self.listing.broken, **broken})
        raise DatasetError(f"all {videos} videos are unusable: {first_reasons(broken)}")

    def example(self, index: int) -> tuple[Frames, str]:
        """The first frame `(h, w, 3)` of a clip of a video, always the same, and its caption; raises `InvalidVideo`."""
        video = self.listing.videos[index]
        frames = decode_clip(self.decoder, video.read(self.files), self.config, np.random.default_rng(0))
        return frames[0], video.caption

    def _cut(self, number: int, epoch: int, index: int) -> Clip:
        video, config = self.listing.videos[index], self.config_of(number)
        if video.missing:
            raise InvalidVideo(video.missing)
        variant = epoch % config.variants if self.cache else epoch
        file = self.cache.file(video, variant, config, self.seed) if self.cache else None
        known = read_cached(file) if file else None
        if known:
            return Clip(number, video.caption, int(known["intensity"]), None, None, known["latents"], None, {})
        rng = np.random.default_rng((self.seed, index, variant))
        frames = decode_clip(self.decoder, video.read(self.files), config, rng)
        intensity = motion_bucket(motion_score(frames), config.strong_score)
        return Clip(number, video.caption, intensity, torch.from_numpy(frames), None, None, file, {})

    def config_of(self, number: int) -> DataConfig:
        """The configuration with the size of that clip; all clips of a step have the same size."""
        sizes = self.config.more_sizes
        choice = stable_seed(self.seed, number // self.batch_size, 2) % (1 + len(sizes))
        return self.config.model_copy(update=dict(sizes[choice - 1])) if choice else self.config

    def _epoch_order(self, epoch: int) -> Tensor:
        if self._order is None or self._order[0] != epoch:
            generator = torch.Generator().manual_seed(stable_seed(self.seed, epoch))
            self._order = epoch, torch.randperm(len(self.listing.videos), generator=generator)
        return self._order[1]


def check_broken(clips: Clips, broken: dict[str, str]) -> None:
    """Raise `DatasetError` if too many videos are unusable."""
    if len(broken) > clips.allowed_broken:
        total = len(clips.listing.videos) + len(clips.listing.broken)
        raise DatasetError(
            f"{len(broken)} of {total} videos are unusable; data.max_broken_share allows {clips.allowed_broken}: "
            f"{first_reasons(broken)}"
        )


def first_reasons(broken: dict[str, str]) -> str:
    """The first few names, each with its reason."""
    few = [f"{name}: {reason}" for name, reason in list(broken.items())[:5]]
    return "; ".join([*few, *(["…"] if len(broken) > len(few) else [])])


def read_cached(file: Path) -> dict[str, Tensor] | None:
    """Contents of a cache file; None if it is missing or incomplete."""
    try:
        return load_file(file)
    except (OSError, SafetensorError):
        return None


def stable_seed(*numbers: int) -> int:
    """Derive a seed from several numbers, the same on every machine."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def micro_batches(config: TrainConfig, first_step: int, processes: int = 1, process: int = 0) -> Iterator[list[int]]:
    """The clip numbers of one process, a list per micro-batch of each step from `first_step` on.

    Raises:
        DatasetError: the batch cannot be divided evenly.
    """
    shares = processes * config.gradient_accumulation_steps
    if config.batch_size % shares:
        raise DatasetError(f"batch_size {config.batch_size} cannot be divided evenly by {processes} processes")
    size = config.batch_size // shares
    for step in range(first_step, config.steps):
        for part in range(config.gradient_accumulation_steps):
            start = step * config.batch_size + (part * processes + process) * size
            yield list(range(start, start + size))


class ClipOrError(Dataset[Clip | Exception]):
    """Returns a clip, or the error it raised, which would lose its message if torch's loader re-raised it."""

    def __init__(self, clips: Clips) -> None:
        self.clips = clips

    def __getitem__(self, number: int) -> Clip | Exception:
        try:
            return self.clips[number]
        except Exception as error:
            if sys.version_info >= (3, 11):  # Older exceptions have no notes.
                error.add_note(traceback.format_exc())
            return error


def load_clips(clips: Clips, batches: Iterator[list[int]], workers: int) -> Iterator[list[Clip]]:
    """Micro-batches in order, prefetched by `workers` processes, or decoded in this one if 0.

    Raises:
        DatasetError: too many videos are unusable.
    """
    ahead: dict[str, Any] = (
        {"prefetch_factor": PREFETCHED_BATCHES, "multiprocessing_context": "spawn"} if workers else {}
    )
    loader = DataLoader(
        ClipOrError(clips),
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=ignore_signals,
        **ahead,
    )
    for batch in loader:
        for item in batch:
            if isinstance(item, Exception):
                raise item
        yield batch


def ignore_signals(_: int) -> None:
    """Ignore signals that terminals and service managers send to all: workers end with their parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
