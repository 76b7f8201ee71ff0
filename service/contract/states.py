"""The states of a job, and the table of transitions between them: who may ask for each, and its effects.

`service/store/transitions.py` sends the table to the script that carries it out.
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
"""A worker has the job."""
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


class Writer(StrEnum):
    """Who asks for a transition."""

    CLIENT = "client"
    """One of the job's tenant, through the API."""
    WORKER = "worker"
    """Any that looks for a job."""
    HOLDER = "holder"
    """The worker whose attempt holds the job, as the attempt's number proves."""
    REAPER = "reaper"
    """The elected worker, once the lease or the deadline has passed."""


WRITERS: dict[JobEvent, frozenset[Writer]] = {
    JobEvent.TAKE: frozenset({Writer.WORKER}),
    JobEvent.PROGRESS: frozenset({Writer.HOLDER}),
    JobEvent.SUCCEED: frozenset({Writer.HOLDER}),
    JobEvent.FAIL: frozenset({Writer.HOLDER, Writer.REAPER}),
    JobEvent.CANCEL: frozenset({Writer.CLIENT}),
    JobEvent.EXPIRE: frozenset({Writer.WORKER, Writer.REAPER}),
    JobEvent.RELEASE: frozenset({Writer.HOLDER, Writer.REAPER}),
}


class Effect(StrEnum):
    """What comes with the new state, in the same step."""

    RECORD = "record"
    """What the event brings is written into the record, and what it stored counts as the tenant's."""
    LEAVE = "leave"
    """The job leaves its queue, and its lease ends."""
    LEASE = "lease"
    """The worker has a new lease."""
    QUEUE = "queue"
    """The job waits in its tenant's queue, and the workers are told."""
    DISARM = "disarm"
    """Its deadline no longer counts."""
    NOTIFY = "notify"
    """Webhooks are written."""
    FINISH = "finish"
    """Record and data have a time at which they go, and the model is free of the job."""


@dataclass(frozen=True)
class Transition:
    """Where an event leads, and what comes with it."""

    after: JobStatus
    effects: frozenset[Effect]


def to(after: JobStatus, *effects: Effect) -> Transition:
    return Transition(after, frozenset(effects))


END = (Effect.LEAVE, Effect.DISARM, Effect.NOTIFY, Effect.FINISH)

TRANSITIONS: dict[tuple[JobStatus, JobEvent], Transition] = {
    (JobStatus.QUEUED, JobEvent.TAKE): to(JobStatus.RUNNING, Effect.LEAVE, Effect.LEASE, Effect.NOTIFY),
    (JobStatus.QUEUED, JobEvent.CANCEL): to(JobStatus.CANCELED, *END),
    (JobStatus.QUEUED, JobEvent.EXPIRE): to(JobStatus.EXPIRED, Effect.RECORD, *END),
    (JobStatus.RUNNING, JobEvent.PROGRESS): to(JobStatus.RUNNING, Effect.RECORD, Effect.LEASE),
    (JobStatus.RUNNING, JobEvent.SUCCEED): to(JobStatus.SUCCEEDED, Effect.RECORD, *END),
    (JobStatus.RUNNING, JobEvent.FAIL): to(JobStatus.FAILED, Effect.RECORD, *END),
    (JobStatus.RUNNING, JobEvent.CANCEL): to(JobStatus.CANCELING, Effect.DISARM),
    (JobStatus.RUNNING, JobEvent.EXPIRE): to(JobStatus.CANCELING, Effect.RECORD, Effect.DISARM),
    (JobStatus.RUNNING, JobEvent.RELEASE): to(JobStatus.QUEUED, Effect.RECORD, Effect.LEAVE, Effect.QUEUE),
    (JobStatus.CANCELING, JobEvent.CANCEL): to(JobStatus.CANCELING),
    (JobStatus.CANCELING, JobEvent.SUCCEED): to(JobStatus.CANCELED, *END),
    (JobStatus.CANCELING, JobEvent.FAIL): to(JobStatus.CANCELED, *END),
    (JobStatus.CANCELING, JobEvent.RELEASE): to(JobStatus.CANCELED, *END),
}
