"""Checks what may have changed since a run began when it resumes. Knows no tensors."""

import zlib
from dataclasses import replace

from cinemo_core.training.errors import CheckpointMismatch
from cinemo_core.training.listing import Listing, Video, few
from cinemo_core.training.state import Progress, Saved
from cinemo_spec.training import TrainConfig

GONE = "it is no longer there"


def described(listing: Listing) -> dict[str, list[int]]:
    """The videos as a state knows them again."""
    return {video.name: [video.length, checksum(video.caption)] for video in listing.videos if not video.missing}


def checksum(caption: str) -> int:
    return zlib.crc32(caption.encode())


def check_same_run(saved: Saved, config: TrainConfig, base_revision: str) -> None:
    """Raise `CheckpointMismatch`, by the names of the fields, where a state is of a run that computes other numbers."""
    progress = saved.progress
    changed = config.changes_from(progress.config)
    if base_revision != progress.base_revision:
        changed.append("base_model: its weights are others now")
    if progress.step > config.steps:
        changed.append(f"steps: {config.steps} now, and {progress.step} are done")
    if changed:
        raise CheckpointMismatch(f"{saved.folder} is of another run: {'; '.join(changed)}; start the run anew")


def begun_with(found: Listing, progress: Progress) -> Listing:
    """The videos that a run began with, as they are now: what came later is no part of it, and what is no longer there
    keeps its place, so that all others come as they would have.

    Raises:
        CheckpointMismatch: a video is another now.
    """
    now = {video.name: video for video in found.videos}
    videos = [now.get(name) or gone(name, length, found) for name, (length, _) in progress.videos.items()]
    changed = [video.name for video in videos if video.length != progress.videos[video.name][0]]
    if changed:
        raise CheckpointMismatch(
            f"data.source: {len(changed)} videos are no longer those that the run began with: {few(changed)}; "
            "put them back, or start the run anew"
        )
    return replace(found, videos=tuple(videos), notes=(*found.notes, *notes_on(videos, found, progress)))


def gone(name: str, length: int, found: Listing) -> Video:
    """A video's place."""
    return Video(name, "", name, 0, length, missing=found.broken.get(name, GONE))


def notes_on(videos: list[Video], found: Listing, progress: Progress) -> list[str]:
    """What has changed since the run began."""
    missing = [video.name for video in videos if video.missing]
    corrected = [
        video.name
        for video in videos
        if not video.missing and checksum(video.caption) != progress.videos[video.name][1]
    ]
    added = [video.name for video in found.videos if video.name not in progress.videos]
    notes = (
        (missing, "that the run began with are no longer there, and passed over"),
        (corrected, "have another caption than before, with which the run goes on"),
        (added, "were added since, and are no part of the run"),
    )
    return [f"{len(names)} videos {what}: {few(names)}" for names, what in notes if names]


def noting_damage(listing: Listing, saved: Saved) -> Listing:
    """The list with a note on each state that was to be gone on from and is damaged."""
    told = tuple(
        f"the state {damaged}; going on from the one before it, {saved.folder.name}" for damaged in saved.damaged
    )
    return replace(listing, notes=(*told, *listing.notes))
