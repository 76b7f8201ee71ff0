"""Asks the operator's policy, and settles what its absence means; every ruling goes into the audit log."""

import time
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError

from cinemo_spec.wording import in_words
from service.contract.problems import PolicyRefused, PolicyUnavailable
from service.contract.requests import AnimateRequest, EditRequest
from service.contract.settings import Settings
from service.policy.breaker import BreakerOpen, CircuitBreaker
from service.policy.callers import Ask, PolicyFailed, ask_as_configured
from service.policy.decision import ALLOW, Decision, Question
from service.store.audit import AuditEntry

log = structlog.get_logger()

NO_ANSWER = "the operator's policy gave no answer"
"""What clients are told; the audit log says why."""


@dataclass(frozen=True)
class Ruling:
    """What was decided.

    Attributes:
        decision: the policy's; `allow` if it gave none and the settings allow that.
        request: what was asked for, with the policy's prompt if it changed it.
        error: why the policy gave none.
        milliseconds: how long it took.
    """

    question: Question
    decision: Decision
    request: AnimateRequest | EditRequest
    error: str | None
    milliseconds: int

    @property
    def entry(self) -> AuditEntry:
        """As the audit log has it, apart from what only the caller knows."""
        about, decision = self.question, self.decision
        return AuditEntry(
            stage=about.stage,
            decision=decision.decision,
            tenant=about.tenant,
            kind=about.kind,
            job=about.job,
            reason=decision.reason,
            changed_prompt=decision.prompt,
            error=self.error,
        )

    @property
    def event(self) -> dict[str, Any]:
        """As the job's events have it, which the client sees: not where the policy is or what is wrong with it."""
        error = NO_ANSWER if self.error else None
        about = {"stage": self.question.stage, "milliseconds": self.milliseconds, "error": error}
        fields = {**self.decision.model_dump(mode="json"), **about}
        return {name: value for name, value in fields.items() if value is not None}


class PolicyHook:
    """Asks a policy, with a time limit and a circuit breaker; thread-safe."""

    def __init__(self, ask: Ask, breaker: CircuitBreaker, allow_when_unavailable: bool) -> None:
        self._ask, self._breaker, self._allow_when_unavailable = ask, breaker, allow_when_unavailable

    def rule(self, question: Question, request: AnimateRequest | EditRequest) -> Ruling:
        """Return what applies to the question, which is about `request`.

        Raises:
            PolicyUnavailable: there is no answer that can be used, and the settings require one; its cause says why.
        """
        started, error = time.monotonic(), None
        try:
            with self._breaker.call():
                decision = self._ask(question)
                request = apply(decision, question, request)
        except (PolicyFailed, BreakerOpen) as failure:
            log.warning("policy unavailable", stage=question.stage, error=str(failure))
            if not self._allow_when_unavailable:
                raise PolicyUnavailable(NO_ANSWER) from failure
            decision, error = ALLOW, str(failure)
        return Ruling(question, decision, request, error, round((time.monotonic() - started) * 1000))


def apply(
    decision: Decision, question: Question, request: AnimateRequest | EditRequest
) -> AnimateRequest | EditRequest:
    """Return the request as the decision has it; raises `PolicyFailed` if that is no request, or comes too late."""
    if decision.prompt is None:
        return request
    if question.stage != "request":
        raise PolicyFailed("the policy changes the prompt of a finished video")
    try:
        return type(request).model_validate({**request.model_dump(), "prompt": decision.prompt})
    except ValidationError as error:
        raise PolicyFailed(f"the policy's prompt is not valid: {in_words(error.errors()[0])}") from error


def require_allowed(ruling: Ruling) -> Ruling:
    """Return the ruling; raises `PolicyRefused` with the policy's reason."""
    if ruling.decision.decision == "refuse":
        raise PolicyRefused(str(ruling.decision.reason))
    return ruling


def open_policy(settings: Settings) -> PolicyHook | None:
    """Configured by the settings; None without a policy.

    Raises:
        ValueError: the settings name a callable that cannot be loaded.
    """
    ask = ask_as_configured(settings)
    if ask is None:
        return None
    breaker = CircuitBreaker(settings.policy_breaker_failures, settings.policy_breaker_seconds)
    return PolicyHook(ask, breaker, settings.policy_unavailable == "allow")
