"""The states of a job and the one table of what moves it between them."""

from enum import StrEnum


class JobStatus(StrEnum):
    """Status of a job."""

    QUEUED = "queued"
    """Accepted; its input is stored."""
    RUNNING = "running"
    """A worker has taken it."""
    CANCELING = "canceling"
    """Asked to stop; the worker has not yet."""
    SUCCEEDED = "succeeded"
    """Its output is in the storage."""
    FAILED = "failed"
    """It ended without an output; `error` says why."""
    CANCELED = "canceled"
    """It ended because somebody asked."""
    EXPIRED = "expired"
    """Its deadline passed while it waited."""


ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED})


class JobEvent(StrEnum):
    """What moves a job from one state to the next."""

    TAKE = "take"
    """A worker begins an attempt."""
    PROGRESS = "progress"
    """The attempt tells how far it is."""
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    """Somebody asks it to stop."""
    EXPIRE = "expire"
    """Its deadline has passed."""
    RELEASE = "release"
    """The attempt ends without a result: handed back, or its lease lapsed."""


TRANSITIONS: dict[tuple[JobStatus, JobEvent], JobStatus] = {
    (JobStatus.QUEUED, JobEvent.TAKE): JobStatus.RUNNING,
    (JobStatus.QUEUED, JobEvent.CANCEL): JobStatus.CANCELED,
    (JobStatus.QUEUED, JobEvent.EXPIRE): JobStatus.EXPIRED,
    (JobStatus.RUNNING, JobEvent.PROGRESS): JobStatus.RUNNING,
    (JobStatus.RUNNING, JobEvent.SUCCEED): JobStatus.SUCCEEDED,
    (JobStatus.RUNNING, JobEvent.FAIL): JobStatus.FAILED,
    (JobStatus.RUNNING, JobEvent.CANCEL): JobStatus.CANCELING,
    (JobStatus.RUNNING, JobEvent.EXPIRE): JobStatus.CANCELING,
    (JobStatus.RUNNING, JobEvent.RELEASE): JobStatus.QUEUED,
    (JobStatus.CANCELING, JobEvent.CANCEL): JobStatus.CANCELING,
    (JobStatus.CANCELING, JobEvent.SUCCEED): JobStatus.CANCELED,
    (JobStatus.CANCELING, JobEvent.FAIL): JobStatus.CANCELED,
    (JobStatus.CANCELING, JobEvent.RELEASE): JobStatus.CANCELED,
}
