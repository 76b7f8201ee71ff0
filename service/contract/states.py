"""The states of a job, and the table of transitions between them: who may ask for each, and its effects.

`service/store/transitions.py` sends its rows to the scripts that carry them out, `dequeue.lua` and `transition.lua`.
"""

from dataclasses import dataclass
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


HELD = frozenset({JobStatus.RUNNING, JobStatus.CANCELING})
"""States in which a worker holds the job."""
ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED})


class JobEvent(StrEnum):
    """What causes a transition."""

    DEQUEUE = "dequeue"
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


class Writer(StrEnum):
    """Who requests a transition."""

    CLIENT = "client"
    """A client of the job's tenant, through the API."""
    WORKER = "worker"
    """Any worker that looks for a job."""
    HOLDER = "holder"
    """The worker whose attempt holds the job, identified by the attempt number."""
    REAPER = "reaper"
    """The elected worker, once the lease or the deadline has expired."""


WRITERS: dict[JobEvent, frozenset[Writer]] = {
    JobEvent.DEQUEUE: frozenset({Writer.WORKER}),
    JobEvent.PROGRESS: frozenset({Writer.HOLDER}),
    JobEvent.SUCCEED: frozenset({Writer.HOLDER}),
    JobEvent.FAIL: frozenset({Writer.HOLDER, Writer.REAPER}),
    JobEvent.CANCEL: frozenset({Writer.CLIENT}),
    JobEvent.EXPIRE: frozenset({Writer.WORKER, Writer.REAPER}),
    JobEvent.RELEASE: frozenset({Writer.HOLDER, Writer.REAPER}),
}


class Effect(StrEnum):
    """What a transition does besides changing the state, in the same step."""

    RECORD = "record"
    """The event's data is written into the record, and stored bytes count towards the tenant's quota."""
    USAGE = "usage"
    """The tenant's usage gets the attempt's time on the device, its output, and how the job ended; a warning is written
    if most of the budget is used."""
    LEAVE = "leave"
    """The job leaves the queue, its lease ends, and its preview is deleted."""
    LEASE = "lease"
    """The worker holds the job, with a new lease."""
    QUEUE = "queue"
    """The job enters its tenant's queue, and the workers are notified."""
    CLEAR_DEADLINE = "clear_deadline"
    """The deadline no longer applies."""
    NOTIFY = "notify"
    """Webhooks are written."""
    FINISH = "finish"
    """Record and data get their times of deletion, and the job no longer uses the model."""


@dataclass(frozen=True)
class Transition:
    """The next state and the effects."""

    after: JobStatus
    effects: frozenset[Effect]


def to(after: JobStatus, *effects: Effect) -> Transition:
    return Transition(after, frozenset(effects))


END = (Effect.USAGE, Effect.LEAVE, Effect.CLEAR_DEADLINE, Effect.NOTIFY, Effect.FINISH)

TRANSITIONS: dict[tuple[JobStatus, JobEvent], Transition] = {
    (JobStatus.QUEUED, JobEvent.DEQUEUE): to(
        JobStatus.RUNNING, Effect.RECORD, Effect.LEAVE, Effect.LEASE, Effect.NOTIFY
    ),
    (JobStatus.QUEUED, JobEvent.CANCEL): to(JobStatus.CANCELED, *END),
    (JobStatus.QUEUED, JobEvent.EXPIRE): to(JobStatus.EXPIRED, Effect.RECORD, *END),
    (JobStatus.RUNNING, JobEvent.PROGRESS): to(JobStatus.RUNNING, Effect.RECORD, Effect.LEASE),
    (JobStatus.RUNNING, JobEvent.SUCCEED): to(JobStatus.SUCCEEDED, Effect.RECORD, *END),
    (JobStatus.RUNNING, JobEvent.FAIL): to(JobStatus.FAILED, Effect.RECORD, *END),
    (JobStatus.RUNNING, JobEvent.CANCEL): to(JobStatus.CANCELING, Effect.CLEAR_DEADLINE),
    (JobStatus.RUNNING, JobEvent.EXPIRE): to(JobStatus.CANCELING, Effect.RECORD, Effect.CLEAR_DEADLINE),
    (JobStatus.RUNNING, JobEvent.RELEASE): to(
        JobStatus.QUEUED, Effect.RECORD, Effect.USAGE, Effect.LEAVE, Effect.QUEUE
    ),
    (JobStatus.CANCELING, JobEvent.CANCEL): to(JobStatus.CANCELING),
    (JobStatus.CANCELING, JobEvent.SUCCEED): to(JobStatus.CANCELED, *END),
    (JobStatus.CANCELING, JobEvent.FAIL): to(JobStatus.CANCELED, *END),
    (JobStatus.CANCELING, JobEvent.RELEASE): to(JobStatus.CANCELED, *END),
}
