"""A request that passed its checks: stored and queued as a job, or, with `validate_only`, only described."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

from fastapi import Response

from cinemo_spec.formats import Size
from cinemo_spec.training import TrainConfig
from service.api.auth import Caller
from service.api.context import Context
from service.api.policy import Approval, LoadPhoto, approve
from service.api.submit import Submission, create_once, submit
from service.contract.record import Job, JobKind, job_created_at, new_job_id
from service.contract.requests import AnimateRequest, EditRequest, JobOptions
from service.contract.schemas import validations as schemas
from service.policy.hook import PolicyHook

Result = TypeVar("Result")

InputKeys = dict[str, str]
"""The fields of a record that name its input in the storage."""


def store_nothing(job_id: str) -> InputKeys:
    return {}


@dataclass(frozen=True)
class Draft:
    """A checked request of which nothing is stored yet.

    Attributes:
        kind: of the job.
        request: with its defaults filled in.
        options: what else the client asks for.
        input_size: of the photo, in pixels.
        input_bytes: of what `store` stores.
        store: stores the input of the job with an ID, from a worker thread.
        earlier: the job whose input this one shares.
        record: further fields of the job's record.
        photo: loads the photo for the operator's policy; None for jobs that it isn't asked about.
        approval: the policy's, if there is a policy.
    """

    kind: JobKind
    request: AnimateRequest | EditRequest | TrainConfig
    options: JobOptions
    input_size: Size | None = None
    input_bytes: int = 0
    store: Callable[[str], InputKeys] = store_nothing
    earlier: Job | None = None
    record: dict[str, Any] = field(default_factory=dict)
    photo: LoadPhoto | None = None
    approval: Approval | None = None

    def job(self, job_id: str, caller: Caller) -> Job:
        """The job, without its input."""
        return Job(
            id=job_id,
            kind=self.kind,
            tenant=caller.tenant,
            created_at=job_created_at(job_id),
            input_size=self.input_size,
            request=self.request,
            options=self.options,
            **self.record,
        )


class PrepareDraft(Protocol):
    """Makes all checks of a request."""

    async def __call__(self, then: Callable[[Draft], Result], /) -> Result:
        """Return what `then` makes of the draft, in the worker thread that has checked it."""
        ...


def in_thread(check: Callable[[], Draft], context: Context, caller: Caller) -> PrepareDraft:
    """Make all checks with one function, which returns the draft."""

    async def prepare(then: Callable[[Draft], Result], /) -> Result:
        return await context.pools.storing.run(caller.tenant, lambda: then(check()))

    return prepare


async def create_or_validate(
    submission: Submission, context: Context, caller: Caller, response: Response, prepare: PrepareDraft
) -> Job | schemas.Validation:
    """Create a job as `create_job` does, or only describe it if that is all the client wants."""
    if submission.validate_only:
        return await checked(prepare, partial(validate_draft, context=context, caller=caller), context, caller)
    return await create_job(submission, context, caller, response, prepare)


async def create_job(
    submission: Submission, context: Context, caller: Caller, response: Response, prepare: PrepareDraft
) -> Job:
    """Create a job of a draft, or return the one that the same request already created; raises like `create_once`."""

    async def create() -> Job:
        then = partial(accept, context=context, caller=caller, submission=submission)
        return await checked(prepare, then, context, caller)

    return await create_once(submission, context, caller, response, create)


async def checked(prepare: PrepareDraft, then: Callable[[Draft], Result], context: Context, caller: Caller) -> Result:
    """Make all checks, that of the operator's policy last, and return what `then` makes of the draft in a thread."""
    if context.policy is None:
        return await prepare(then)
    draft = await approved(await prepare(itself), context.policy, context, caller)
    return await context.pools.storing.run(caller.tenant, then, draft)


def itself(draft: Draft) -> Draft:
    return draft


async def approved(draft: Draft, policy: PolicyHook, context: Context, caller: Caller) -> Draft:
    """Return the draft as the operator's policy has it; raises like `approve`."""
    if draft.photo is None:
        return draft
    assert isinstance(draft.request, AnimateRequest | EditRequest)
    approval = await context.pools.fetching.run(
        caller.tenant, approve, policy, draft.kind, draft.request, draft.photo, context, caller
    )
    return replace(draft, request=approval.request, approval=approval)


def accept(draft: Draft, context: Context, caller: Caller, submission: Submission) -> Job:
    """Store the input, then queue the job, so that every queued job can run."""
    job_id = context.jobs.submissions.announce(caller.tenant, draft.input_bytes)
    job = draft.job(job_id, caller).model_copy(update=draft.store(job_id))
    decision = draft.approval.arguments(job_id, context) if draft.approval else None
    return submit(job, context, submission, draft.earlier, decision)


def validate_draft(draft: Draft, context: Context, caller: Caller) -> schemas.Validation:
    """Describe the job that `accept` would create; raises what it would raise, and stores nothing."""
    job = draft.job(new_job_id(), caller)
    estimate = context.jobs.submissions.check(job, draft.input_bytes, draft.earlier)
    start, run_time, end = estimate.until_start(), estimate.run_time(job), estimate.until_end(job)
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        **draft.options.model_dump(),
        "request": draft.request,
        "jobs_ahead": estimate.ahead,
        "starts_at": None if start is None else now + timedelta(milliseconds=start),
        "run_seconds": None if run_time is None else round(run_time / 1000, 1),
        "eta": None if end is None else now + timedelta(seconds=end),
    }
    return schemas.OF_KIND[draft.kind](kind=draft.kind, **fields)
