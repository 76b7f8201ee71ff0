"""Checks, when a run resumes, what has changed since it began. Does not handle tensors."""

import zlib
from dataclasses import replace

from cinemo_core.training.errors import CheckpointMismatch
from cinemo_core.training.listing import Listing, Video, few
from cinemo_core.training.state import Progress, Saved
from cinemo_spec.training import TrainConfig

GONE = "it no longer exists"


def described(listing: Listing) -> dict[str, list[int]]:
    """The videos as recorded in a state: length and caption checksum by name."""
    return {video.name: [video.length, checksum(video.caption)] for video in listing.videos if not video.missing}


def checksum(caption: str) -> int:
    return zlib.crc32(caption.encode())


def check_same_run(saved: Saved, config: TrainConfig, base_revision: str) -> None:
    """Raise `CheckpointMismatch`, naming the fields that differ, if a state belongs to another run."""
    progress = saved.progress
    changed = config.changes_from(progress.config)
    if base_revision != progress.base_revision:
        changed.append("base_model: its weights have changed")
    if progress.step > config.steps:
        changed.append(f"steps: {config.steps}, but {progress.step} are already done")
    if changed:
        raise CheckpointMismatch(f"{saved.folder} belongs to another run: {'; '.join(changed)}; start a new run")


def begun_with(found: Listing, progress: Progress) -> Listing:
    """The videos that a run began with, as they are now.

    Leaves out videos added since. Those that no longer exist keep their index, so that the order of the others does not
    change.

    Raises:
        CheckpointMismatch: the contents of a video have changed.
    """
    now = {video.name: video for video in found.videos}
    videos = [now.get(name) or gone(name, length, found) for name, (length, _) in progress.videos.items()]
    changed = [video.name for video in videos if video.length != progress.videos[video.name][0]]
    if changed:
        raise CheckpointMismatch(
            f"data.source: {len(changed)} videos have changed since the run began: {few(changed)}; "
            "restore them, or start a new run"
        )
    return replace(found, videos=tuple(videos), notes=(*found.notes, *notes_on(videos, found, progress)))


def gone(name: str, length: int, found: Listing) -> Video:
    """A placeholder for a video that no longer exists."""
    return Video(name, "", name, 0, length, missing=found.broken.get(name, GONE))


def notes_on(videos: list[Video], found: Listing, progress: Progress) -> list[str]:
    """Notes on what has changed since the run began."""
    missing = [video.name for video in videos if video.missing]
    corrected = [
        video.name
        for video in videos
        if not video.missing and checksum(video.caption) != progress.videos[video.name][1]
    ]
    added = [video.name for video in found.videos if video.name not in progress.videos]
    notes = (
        (missing, "no longer exist and are skipped"),
        (corrected, "have a new caption, which the run uses from now on"),
        (added, "were added since the run began and are not used"),
    )
    return [f"{len(names)} videos {what}: {few(names)}" for names, what in notes if names]


def noting_damage(listing: Listing, saved: Saved) -> Listing:
    """The listing with a note on each damaged state that was skipped."""
    notes = tuple(f"the state {damaged}; resuming from an older one, {saved.folder.name}" for damaged in saved.damaged)
    return replace(listing, notes=(*notes, *listing.notes))
