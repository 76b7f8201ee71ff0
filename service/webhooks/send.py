"""One attempt at a delivery: the message, what the response means, when to retry."""

import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import structlog

from service.contract.budgets import budget_of
from service.contract.deliveries import Attempt, Delivery
from service.contract.problems import NotFound, Problem, QueueUnavailable
from service.contract.record import Job, JobMetrics
from service.contract.schemas.webhooks import BudgetMessage, Message, VideoMessage, VideoReference
from service.contract.settings import Settings
from service.contract.states import ENDED, JobStatus
from service.contract.views import view_job
from service.observability.logs import add_log_context
from service.observability.tracing import span, trace_id
from service.outbound.client import Outbound, Response
from service.storage import ObjectStore
from service.store.queries import JobQueries
from service.webhooks.endpoints import EndpointStore
from service.webhooks.outbox import Outcome
from service.webhooks.sign import sign

log = structlog.get_logger()

RETRY_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Delays between attempts; after the last one the delivery has failed."""

JITTER = 0.1
TIMEOUT_SECONDS = 15.0
MAX_RESPONSE_BYTES = 1024
MAX_RETRY_AFTER_SECONDS = 86_400.0
GONE = 410


@dataclass(frozen=True)
class Result:
    """An attempt and its consequences."""

    attempt: Attempt
    outcome: Outcome
    retry_seconds: float = 0
    """Time until the delivery's next attempt."""
    retry_after_seconds: float = 0
    """Time for which the receiver wants no requests, from `Retry-After`."""


@dataclass(frozen=True)
class Sender:
    """Sends deliveries; thread-safe."""

    settings: Settings
    jobs: JobQueries
    storage: ObjectStore
    endpoints: EndpointStore
    outbound: Outbound
    timeout_seconds: float = TIMEOUT_SECONDS

    def send(self, delivery: Delivery, now: float) -> Result:
        """Make one attempt, dated and signed with `now` in Unix seconds.

        Raises:
            QueueUnavailable: nothing was sent.
        """
        started = time.monotonic()
        response, error = None, None
        try:
            response = self._post(delivery, now)
        except QueueUnavailable:
            raise
        except Problem as problem:
            error = problem.detail
        except Exception as unexpected:
            # Counts as a failed attempt, so that one job's message never blocks those of others.
            log.exception("webhook not sent")
            error = f"unexpected {type(unexpected).__name__}"
        attempt = Attempt(
            at=datetime.fromtimestamp(now, UTC),
            status=response.status if response else None,
            latency_ms=round((time.monotonic() - started) * 1000),
            error=failure_reason(response) if response else error,
        )
        return evaluate(attempt, delivery.tries, retry_after(response, now) if response else 0)

    def _post(self, delivery: Delivery, now: float) -> Response:
        if delivery.data is not None:
            return self._post_body(delivery, self._budget_warning(delivery, delivery.data), None, now)
        job = self.jobs.get(delivery.job)
        if job is None:
            raise NotFound(f"the record of {delivery.job} has been deleted")
        add_log_context(request_id=job.request_id, trace_id=trace_id(job.traceparent))
        return self._post_body(delivery, self._body(delivery, job), job.traceparent, now)

    def _post_body(self, delivery: Delivery, body: bytes, traceparent: str | None, now: float) -> Response:
        secrets = self.endpoints.secrets(delivery.tenant, datetime.fromtimestamp(now, UTC))
        headers = {"content-type": "application/json", **sign(secrets, delivery.id, int(now), body)}
        attributes = {"tenant": delivery.tenant, "job": delivery.job, "webhook": delivery.id}
        with span(f"webhook {delivery.type}", traceparent, "client", **attributes) as work:
            response = self.outbound.post(
                delivery.url,
                body=body,
                headers=headers,
                timeout_seconds=self.timeout_seconds,
                max_bytes=MAX_RESPONSE_BYTES,
            )
            work.set_attributes(**{"http.response.status_code": response.status})
            return response

    def _budget_warning(self, delivery: Delivery, data: str) -> bytes:
        currency = self.settings.currency if self.settings.device_prices else None
        budget = budget_of(delivery.tenant, json.loads(data), currency)
        message = BudgetMessage(type="usage.budget_warning", timestamp=delivery.created_at, data=budget)
        return message.model_dump_json().encode()

    def _body(self, delivery: Delivery, job: Job) -> bytes:
        if delivery.type == "video.completed" or delivery.type == "video.failed":
            created_at = int(delivery.created_at.timestamp())
            reference = VideoReference(id=job.id)
            message = VideoMessage(id=delivery.id, created_at=created_at, type=delivery.type, data=reference)
            return message.model_dump_json().encode()
        data = view_job(as_of(delivery, job), self)
        return Message(type=delivery.type, timestamp=delivery.created_at, data=data).model_dump_json().encode()


def as_of(delivery: Delivery, job: Job) -> Job:
    """The job as it was when it entered the state that the delivery reports.

    The record of an ended job no longer changes; for a job that started running, later fields are cleared.
    """
    status = JobStatus(delivery.type.removeprefix("job."))
    if status in ENDED:
        return job
    started = {"status": status, "attempt": delivery.attempt, "metrics": JobMetrics()}
    later = ("finished_at", "expires_at", "queue_position", "progress", "training", "output", "error")
    return job.model_copy(update={**started, **dict.fromkeys(later)})


def failure_reason(response: Response) -> str | None:
    """Why a response counts as a failure; None if it is a success."""
    if 200 <= response.status < 300:
        return None
    if 300 <= response.status < 400:
        return f"answered {response.status}; redirects are not followed"
    return f"answered {response.status}"


def evaluate(attempt: Attempt, tries: int, retry_after_seconds: float = 0, jitter: float | None = None) -> Result:
    """The outcome of an attempt after `tries` failed ones; `jitter` is 0 to 1, random by default."""
    if attempt.error is None:
        return Result(attempt, Outcome.DELIVERED)
    if attempt.status == GONE:
        return Result(attempt, Outcome.STOPPED)
    if tries >= len(RETRY_SECONDS):
        return Result(attempt, Outcome.FAILED, 0, retry_after_seconds)
    jitter = random.random() if jitter is None else jitter
    delay = max(RETRY_SECONDS[tries] * (1 + JITTER * jitter), retry_after_seconds)
    return Result(attempt, Outcome.RETRY, delay, retry_after_seconds)


def retry_after(response: Response, now: float) -> float:
    """Seconds from a failed response's `Retry-After`, at most a day; 0 without one."""
    value = response.headers.get("retry-after", "").strip()
    if response.status < 300 or not value:
        return 0
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError):
            return 0
    return min(max(seconds, 0), MAX_RETRY_AFTER_SECONDS)
