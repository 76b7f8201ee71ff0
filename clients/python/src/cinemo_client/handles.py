"""What the sync and the async job handle share."""

from typing import Literal

from cinemo_client.errors import JobNotSucceeded, NotFound
from cinemo_client.models import File, Job, JobStatus, TrainJob, Video

FileName = Literal["video", "poster", "spritesheet", "manifest", "credentials"]


def require_success(job: Job) -> None:
    """Raise `JobNotSucceeded` if the job, which has ended, did not succeed."""
    if job.status is not JobStatus.SUCCEEDED:
        raise JobNotSucceeded(job)


def file_of(job: Job, name: FileName) -> File | Video:
    """One of a job's files; raises `NotFound` if it has no such file."""
    file: File | Video | None = None if isinstance(job, TrainJob) else getattr(job.output, name, None)
    if file is None:
        raise NotFound(f"{job.id} has no {name}", code="CLIENT.NO_FILE")
    return file
