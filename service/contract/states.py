"""The states of a job, and the table of transitions between them."""

from enum import StrEnum


class JobStatus(StrEnum):
    """Status of a job."""

    QUEUED = "queued"
    """Accepted, with its input stored."""
    RUNNING = "running"
    """A worker is running it."""
    CANCELING = "canceling"
    """Cancellation was requested; the worker has not stopped yet."""
    SUCCEEDED = "succeeded"
    """Ended with its output in storage."""
    FAILED = "failed"
    """Ended without output; `error` states why."""
    CANCELED = "canceled"
    """Ended because its cancellation was requested."""
    EXPIRED = "expired"
    """Its deadline passed while it was queued."""


ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED})


class JobEvent(StrEnum):
    """What causes a transition."""

    TAKE = "take"
    """A worker starts an attempt."""
    PROGRESS = "progress"
    """The attempt reports progress."""
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    """Its cancellation is requested."""
    EXPIRE = "expire"
    """Its deadline has passed."""
    RELEASE = "release"
    """The attempt ends without a result: the worker gave it up, or its lease expired."""


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
