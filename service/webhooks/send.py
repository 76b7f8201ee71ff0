"""One attempt at a delivery: what is sent, what the answer means, when the next one is due."""

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import structlog

from service.contract.deliveries import Attempt, Delivery
from service.contract.problems import NotFound, Problem, QueueUnavailable
from service.contract.record import Job, JobMetrics
from service.contract.schemas.webhooks import Message, VideoMessage, VideoReference
from service.contract.settings import Settings
from service.contract.states import ENDED, JobStatus
from service.contract.views import view_job
from service.observability.logs import note
from service.observability.tracing import span, trace_id
from service.outbound.client import Answer, Outbound
from service.storage import ObjectStore
from service.store.jobs import JobStore
from service.webhooks.endpoints import EndpointStore
from service.webhooks.outbox import Outcome
from service.webhooks.sign import sign

log = structlog.get_logger()

RETRY_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""From each failed attempt to the next; after the last one the delivery is given up."""

JITTER = 0.1
TIMEOUT_SECONDS = 15.0
MAX_ANSWER_BYTES = 1024
MAX_RETRY_AFTER_SECONDS = 86_400.0
GONE = 410


@dataclass(frozen=True)
class Result:
    """An attempt, and what follows from it."""

    attempt: Attempt
    outcome: Outcome
    retry_seconds: float = 0
    """Until the delivery's next attempt."""
    retry_after_seconds: float = 0
    """For which the receiver asked to be left alone."""


@dataclass(frozen=True)
class Sender:
    """Sends deliveries; may be shared between threads."""

    settings: Settings
    jobs: JobStore
    storage: ObjectStore
    endpoints: EndpointStore
    outbound: Outbound
    timeout_seconds: float = TIMEOUT_SECONDS

    def send(self, delivery: Delivery, now: float) -> Result:
        """Make one attempt; `now` in Unix seconds is what it is dated and signed with.

        Raises:
            QueueUnavailable: nothing was sent.
        """
        started = time.monotonic()
        answer, error = None, None
        try:
            answer = self._post(delivery, now)
        except QueueUnavailable:
            raise
        except Problem as problem:
            error = problem.detail
        except Exception as unforeseen:
            # What cannot be told of one job must keep no other from being told of; it is tried again, and given up.
            log.exception("webhook not sent")
            error = f"unexpected {type(unforeseen).__name__}"
        attempt = Attempt(
            at=datetime.fromtimestamp(now, UTC),
            status=answer.status if answer else None,
            latency_ms=round((time.monotonic() - started) * 1000),
            error=why_failed(answer) if answer else error,
        )
        return judge(attempt, delivery.tries, retry_after(answer, now) if answer else 0)

    def _post(self, delivery: Delivery, now: float) -> Answer:
        job = self.jobs.get(delivery.job)
        if job is None:
            raise NotFound(f"the record of {delivery.job} is gone")
        note(request_id=job.request_id, trace_id=trace_id(job.traceparent))
        body = self._body(delivery, job)
        signing = self.endpoints.secrets(delivery.tenant, datetime.fromtimestamp(now, UTC))
        headers = {"content-type": "application/json", **sign(signing, delivery.id, int(now), body)}
        about = {"tenant": job.tenant, "job": job.id, "webhook": delivery.id}
        with span(f"webhook {delivery.type}", job.traceparent, "client", **about) as work:
            answer = self.outbound.post(
                delivery.url,
                body=body,
                headers=headers,
                timeout_seconds=self.timeout_seconds,
                max_bytes=MAX_ANSWER_BYTES,
            )
            work.note(**{"http.response.status_code": answer.status})
            return answer

    def _body(self, delivery: Delivery, job: Job) -> bytes:
        if delivery.type == "video.completed" or delivery.type == "video.failed":
            created_at = int(delivery.created_at.timestamp())
            about = VideoReference(id=job.id)
            dialect = VideoMessage(id=delivery.id, created_at=created_at, type=delivery.type, data=about)
            return dialect.model_dump_json().encode()
        told = view_job(as_of(delivery, job), self)
        return Message(type=delivery.type, timestamp=delivery.created_at, data=told).model_dump_json().encode()


def as_of(delivery: Delivery, job: Job) -> Job:
    """The job as it came into the state that is told of, wherever it has gone since.

    A record that has ended changes no more; of one that began to run everything later is left out.
    """
    status = JobStatus(delivery.type.removeprefix("job."))
    if status in ENDED:
        return job
    began = {"status": status, "attempt": delivery.attempt, "metrics": JobMetrics()}
    later = ("finished_at", "expires_at", "queue_position", "progress", "training", "output", "error")
    return job.model_copy(update={**began, **dict.fromkeys(later)})


def why_failed(answer: Answer) -> str | None:
    """Why an answer counts as a failure; None where it does not."""
    if 200 <= answer.status < 300:
        return None
    if 300 <= answer.status < 400:
        return f"answered {answer.status}; redirects are not followed"
    return f"answered {answer.status}"


def judge(attempt: Attempt, tries: int, retry_after_seconds: float = 0, jitter: float | None = None) -> Result:
    """What follows from an attempt after so many failed ones; `jitter`, 0 to 1, is drawn if not given."""
    if attempt.error is None:
        return Result(attempt, Outcome.DELIVERED)
    if attempt.status == GONE:
        return Result(attempt, Outcome.STOPPED)
    if tries >= len(RETRY_SECONDS):
        return Result(attempt, Outcome.FAILED, 0, retry_after_seconds)
    drawn = random.random() if jitter is None else jitter
    delay = max(RETRY_SECONDS[tries] * (1 + JITTER * drawn), retry_after_seconds)
    return Result(attempt, Outcome.RETRY, delay, retry_after_seconds)


def retry_after(answer: Answer, now: float) -> float:
    """The seconds for which a receiver that failed asked to be left alone, a day at most; 0 where it did not."""
    asked = answer.headers.get("retry-after", "").strip()
    if answer.status < 300 or not asked:
        return 0
    if asked.isascii() and asked.isdigit():
        seconds = float(asked[:9])
    else:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - now
        except (ValueError, OverflowError):
            return 0
    return min(max(seconds, 0), MAX_RETRY_AFTER_SECONDS)
