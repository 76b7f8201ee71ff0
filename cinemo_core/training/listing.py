"""The contents of a dataset: its videos and where their bytes are, in a deterministic order."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from cinemo_core.training.files import Files, read_with_retries
from cinemo_spec.errors import InvalidVideo

MAX_NAMES_SHOWN = 5


@dataclass(frozen=True)
class Video:
    """A video's caption and the location of its bytes; `name` is unique within the dataset.

    `missing` says why a video that a run began with is no longer available; empty if it is.
    """

    name: str
    caption: str
    file: str
    start: int
    length: int
    missing: str = ""

    def read(self, files: Files) -> bytes:
        """The video file's bytes; raises `InvalidVideo` if they cannot be read after several attempts."""
        if self.missing:
            raise InvalidVideo(self.missing)
        try:
            return read_with_retries(files, self.file, self.start, self.length)
        except OSError as error:
            raise InvalidVideo(f"cannot be read: {error}") from error


@dataclass(frozen=True)
class Listing:
    """All videos, sorted by name.

    Attributes:
        broken: reasons by name, for videos known to be broken before decoding.
        notes: for the user, one sentence each.
    """

    videos: tuple[Video, ...]
    broken: dict[str, str]
    notes: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, sizes and captions: lists with equal digests are equal."""
        lines = (json.dumps([each.name, each.length, each.caption]) for each in self.videos)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def captioned(self) -> int:
        """Number of videos with a caption."""
        return sum(bool(video.caption) for video in self.videos)


def few(names: list[str]) -> str:
    """The first few names."""
    return ", ".join([*names[:MAX_NAMES_SHOWN], *(["…"] if len(names) > MAX_NAMES_SHOWN else [])])


def joined(*listings: Listing) -> Listing:
    """Merge several listings."""
    videos = sorted((video for each in listings for video in each.videos), key=lambda video: video.name)
    broken = {name: reason for each in listings for name, reason in each.broken.items()}
    return Listing(tuple(videos), broken, tuple(note for each in listings for note in each.notes))
