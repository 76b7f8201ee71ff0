"""Asks the operator's policy about a finished video, before it is stored."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from cinemo_spec.marking.signing import CONTENT_TYPES
from service.contract.failures import FAILURES, POLICY_REFUSED
from service.contract.problems import PolicyUnavailable
from service.contract.record import Job
from service.contract.requests import AnimateRequest, EditRequest
from service.policy.decision import Media, Question
from service.policy.hook import PolicyHook, Ruling, open_policy
from service.storage.retry_policy import pause, sleep
from service.store.audit import AuditEntry
from worker.app import settings
from worker.dependencies import job_store
from worker.lease import check_lease
from worker.outcome import JobFailed

ATTEMPTS = 6
"""With the pauses between them, about 15 seconds of silence before the job fails."""


@cache
def policy() -> PolicyHook | None:
    return open_policy(settings) if settings.policy_results else None


def require_approved(job: Job, video: Path) -> None:
    """Return if the video may be delivered.

    Raises:
        JobFailed: the policy refuses it, or gives no answer.
        Canceled, LeaseLost, Released: the work must stop, see `Lease.check`.
    """
    hook = policy()
    if hook is None:
        return
    media = Media(content_type=CONTENT_TYPES[video.suffix], data=video.read_bytes())
    request = job.request
    assert isinstance(request, AnimateRequest | EditRequest)
    asked_for = request.model_dump(mode="json")
    question = Question(stage="result", tenant=job.tenant, kind=job.kind, job=job.id, request=asked_for, video=media)
    ruling = ask(hook, question, request)
    job_store().audit.append(replace(ruling.entry, request_id=job.request_id), ruling.event)
    if ruling.decision.decision == "refuse":
        raise JobFailed(POLICY_REFUSED.error(str(ruling.decision.reason)))


def ask(hook: PolicyHook, question: Question, request: AnimateRequest | EditRequest) -> Ruling:
    """Ask until there is an answer, as the video has already cost its time on the device."""
    for attempt in range(1, ATTEMPTS):
        try:
            return hook.rule(question, request)
        except PolicyUnavailable:
            sleep(pause(attempt), check_lease)
    try:
        return hook.rule(question, request)
    except PolicyUnavailable as problem:
        about = question.tenant, question.kind, question.job
        job_store().audit.append(AuditEntry("result", "unavailable", *about, error=str(problem.__cause__)))
        raise JobFailed(FAILURES[problem.code].error(problem.detail)) from problem
