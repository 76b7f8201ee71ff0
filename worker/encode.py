"""Writes a film's video, poster and sprite sheet frame by frame, so that memory use is independent of its length."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from cinemo_core import OutOfMemory, write_video
from cinemo_core.encoding import with_poster
from cinemo_core.film import Film
from cinemo_core.media import Frames
from cinemo_core.spritesheet import with_spritesheet
from cinemo_core.watermark.embed import watermarked
from cinemo_spec.marking.statement import SourceType
from service.contract.record import Job
from service.contract.requests import ClipRequest
from service.observability.tracing import span
from worker.app import settings
from worker.marks import source_of
from worker.pipelines import pipelines
from worker.progress import report_frames
from worker.run import milliseconds_since

log = structlog.get_logger()


@dataclass(frozen=True)
class Encoded:
    """The files, the milliseconds for detail and encoding, and the source type that the files state, if any."""

    video: Path
    poster: Path
    spritesheet: Path
    milliseconds: int
    source: SourceType | None = None


def encode(job: Job, film: Film, fps: float, folder: Path) -> Encoded:
    """Write video, poster and sprite sheet; if the device runs out of memory, add the detail on the CPU.

    Raises:
        Canceled, LeaseLost, Released, JobFailed: the work must stop, see `Lease.check`.
    """
    request = job.request
    assert isinstance(request, ClipRequest)
    source = source_of(job.kind, settings.marking)
    video = folder / f"video.{request.format}"
    files = Encoded(video, folder / "poster.jpg", folder / "spritesheet.jpg", 0, source)
    started = time.monotonic()
    with span("encode", frames=len(film)):
        try:
            write(job, film, files, fps)
        except OutOfMemory as error:
            log.warning("out of memory, adding detail on the CPU", error=repr(error.__cause__))
            pipelines().unload_published()
            write(job, replace(film, device="cpu"), files, fps)
    return replace(files, milliseconds=milliseconds_since(started))


def write(job: Job, film: Film, files: Encoded, fps: float) -> None:
    frames: Iterable[Frames] = report_frames(job, film)
    if settings.watermark_id:
        frames = watermarked(frames, int(settings.watermark_id, 16))
    frames = with_poster(frames, files.poster, len(film) // 2, files.source)
    frames = with_spritesheet(frames, len(film), files.spritesheet, files.source)
    write_video(files.video, frames, fps, files.source)
