"""What both kinds of job handles know of the job that they hold."""

from typing import Literal

from cinemo_client.errors import JobNotSucceeded, NotFound
from cinemo_client.models import File, Job, JobStatus, TrainJob, Video

FileName = Literal["video", "poster", "spritesheet", "manifest", "credentials"]


def succeeded(job: Job) -> None:
    """Raise `JobNotSucceeded` where a job that has ended did not succeed."""
    if job.status is not JobStatus.SUCCEEDED:
        raise JobNotSucceeded(job)


def file_of(job: Job, name: FileName) -> File | Video:
    """One of a job's files; raises `NotFound` where it has none."""
    file: File | Video | None = None if isinstance(job, TrainJob) else getattr(job.output, name, None)
    if file is None:
        raise NotFound(f"{job.id} has no {name}", code="CLIENT.NO_FILE")
    return file
