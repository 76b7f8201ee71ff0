"""What all kinds of jobs share on their way in: the model they name, the record, the hint to the workers."""

from typing import Any

from service.api.context import Context
from service.errors import QueueUnavailable
from service.jobs.model import Job, JobError

LOCATION: dict[str, Any] = {
    "headers": {"Location": {"description": "Where to poll the job.", "schema": {"type": "string"}}}
}


def pin_model(reference: str, context: Context, field_name: str = "model") -> str:
    """The service's own model as it is named, a published one as `name@revision`.

    Raises:
        ModelUnknown: there is no such model.
    """
    if reference in (context.settings.model, "tiny"):
        return reference
    return context.models.find(reference, field_name).reference


def submit(job: Job, context: Context) -> Job:
    """Write the record, then tell the workers; returns the job as it stands."""
    context.jobs.create(job)
    try:
        context.queue.enqueue(job.id, job.kind)
    except QueueUnavailable as problem:
        lost = JobError(code=problem.code, message=problem.detail, retryable=True)
        context.jobs.fail(job, lost)
        raise
    return context.jobs.get(job.id) or job
