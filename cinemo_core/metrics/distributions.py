"""Distances between generated and real clips. Collects features clip by clip, without keeping the clips."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cinemo_core.clips import load_clip
from cinemo_core.folders import VIDEO_SUFFIXES, files_below, is_resource_fork
from cinemo_core.media import Frames
from cinemo_core.metrics.extractors import Extractors, Features
from cinemo_core.metrics.frechet import frechet_distance
from cinemo_spec.errors import InvalidParameter


@dataclass
class Distribution:
    """The networks' features of many clips."""

    extractors: Extractors
    videos: list[Features] = field(default_factory=list)
    pictures: list[Features] = field(default_factory=list)

    def add(self, frames: Frames) -> None:
        """Add the features of a clip `(f, h, w, 3)`."""
        if self.extractors.video:
            self.videos.append(self.extractors.video(frames))
        if self.extractors.picture:
            self.pictures.append(self.extractors.picture(frames))

    def fvd(self, real: "Distribution") -> float | None:
        """Fréchet video distance; None if either distribution is empty."""
        return frechet_distance(np.stack(self.videos), np.stack(real.videos)) if self.videos and real.videos else None

    def fid(self, real: "Distribution") -> float | None:
        """Fréchet distance of single frames; None if either distribution is empty."""
        if not self.pictures or not real.pictures:
            return None
        return frechet_distance(np.concatenate(self.pictures), np.concatenate(real.pictures))


REFERENCE_SUFFIXES = (*VIDEO_SUFFIXES, ".webp")


def reference_clips(folder: Path, count: int, interval: int = 1) -> Iterator[Frames]:
    """The first `count` of every `interval`-th frame of each video below a folder, one clip at a time.

    Includes subfolders, such as UCF-101's classes, and linked folders; ignores other files, such as captions.

    Raises:
        InvalidParameter: the folder contains no video, or `interval` is out of range.
        InvalidVideo: a video cannot be read or is too short; the message has its name relative to the folder.
    """
    try:
        found = sorted(name for name, _ in files_below(folder))
    except OSError as error:
        raise InvalidParameter(f"{folder} cannot be listed: {error.strerror}") from error
    names = [name for name in found if name.lower().endswith(REFERENCE_SUFFIXES) and not is_resource_fork(name)]
    if not names:
        raise InvalidParameter(f"{folder} contains no video; supported are {', '.join(REFERENCE_SUFFIXES)}")
    for name in names:
        yield load_clip(folder / name, count, interval, name)
