"""Asks the operator's policy about a request, before its job is queued."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from service.api.auth import Caller
from service.api.context import Context
from service.contract.problems import PolicyRefused, PolicyUnavailable
from service.contract.record import JobKind
from service.contract.requests import AnimateRequest, EditRequest
from service.observability.logs import log_context_value
from service.policy.decision import Media, Question
from service.policy.hook import PolicyHook, require_allowed
from service.store.audit import AuditEntry

POLICY_PROBLEMS = (PolicyRefused, PolicyUnavailable)

LoadPhoto = Callable[[], Media]
"""Returns the photo as it is, or will be, stored; called from a worker thread."""


@dataclass(frozen=True)
class Approval:
    """A request that may become a job: with the policy's prompt, if it changed it, and what is recorded about that."""

    request: AnimateRequest | EditRequest
    entry: AuditEntry
    event: dict[str, Any]

    def arguments(self, job_id: str, context: Context) -> dict[str, Any]:
        """What is recorded in the same step as the job."""
        return context.jobs.audit.arguments(replace(self.entry, job=job_id), self.event)


def approve(
    policy: PolicyHook,
    kind: JobKind,
    request: AnimateRequest | EditRequest,
    load_photo: LoadPhoto,
    context: Context,
    caller: Caller,
) -> Approval:
    """Return the request as it may be queued; a refusal is recorded here, an approval with the job.

    Raises:
        PolicyRefused: the policy refuses it.
        PolicyUnavailable: the policy gives no answer that can be used.
    """
    photo = load_photo()
    question = Question(
        stage="request", tenant=caller.tenant, kind=kind, request=request.model_dump(mode="json"), image=photo
    )
    # What only a request has.
    known: dict[str, Any] = {
        "request_id": log_context_value("request_id"),
        "photo_sha256": hashlib.sha256(photo.data).hexdigest(),
    }
    try:
        ruling = policy.rule(question, request)
    except PolicyUnavailable as problem:
        unavailable = AuditEntry("request", "unavailable", caller.tenant, kind, error=str(problem.__cause__))
        context.jobs.audit.append(replace(unavailable, **known))
        raise
    if ruling.decision.decision != "allow":
        known["prompt"] = request.prompt
    entry = replace(ruling.entry, **known)
    if ruling.decision.decision == "refuse":
        context.jobs.audit.append(entry)
    require_allowed(ruling)
    return Approval(ruling.request, entry, ruling.event)
