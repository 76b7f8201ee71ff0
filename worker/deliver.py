"""Sends webhooks: claims what is due in Redis, many at a time, and records what came of each.

A thread waits for each receiver; of all of them a tenant has half at most, and less while others have some, too.

What was sent and not recorded, since this process died between the two, is sent again under the same id.
"""

import signal
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog

from service.contract.deliveries import Delivery
from service.contract.problems import QueueUnavailable
from service.contract.settings import Settings
from service.observability.logs import log_context
from service.outbound.client import open_outbound
from service.storage import open_object_store
from service.store.connections import connect
from service.store.counters import WEBHOOK_ATTEMPTS, WEBHOOK_DELAY, Counters, Counts
from service.store.jobs import open_job_store
from service.store.queue import SENDERS
from service.webhooks.endpoints import EndpointStore
from service.webhooks.outbox import InFlight, Outbox, Outcome
from service.webhooks.send import Result, Sender
from worker.health import live_in, touch
from worker.heartbeat import make_heartbeat
from worker.workspace import open_workspace

log = structlog.get_logger()

PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Deliverer:
    """Has up to `at_once` deliveries on their way."""

    outbox: Outbox
    sender: Sender
    counters: Counters
    at_once: int = 256
    at_once_of_host: int = 16

    def run(self, stopped: threading.Event) -> None:
        """Deliver until told to stop, then wait for what is on its way."""
        busy: dict[Future[None], Delivery] = {}
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="webhook") as pool:
            while not stopped.is_set():
                touch()
                busy = {each: delivery for each, delivery in busy.items() if not each.done()}
                claimed = self._claim(self.at_once - len(busy), InFlight([*busy.values()], self.at_once_of_host))
                busy |= {pool.submit(self.deliver, delivery): delivery for delivery in claimed}
                if busy and not claimed:
                    wait(busy, PAUSE_SECONDS, FIRST_COMPLETED)
                elif not claimed:
                    stopped.wait(PAUSE_SECONDS)

    def round(self) -> int:
        """Make one attempt at each delivery that may be sent now, one after the other; returns how many."""
        claimed = self._claim(self.at_once)
        for delivery in claimed:
            self.deliver(delivery)
        return len(claimed)

    def deliver(self, delivery: Delivery) -> None:
        """Make one attempt and record it. Where it cannot be recorded it is made again, when its claim is given up."""
        with log_context(tenant=delivery.tenant, job=delivery.job, webhook=delivery.id, type=delivery.type):
            try:
                result = self.sender.send(delivery, self.outbox.now())
                self.outbox.record(
                    delivery, result.attempt, result.outcome, result.retry_seconds, result.retry_after_seconds
                )
            except Exception:
                log.exception("attempt not recorded")
                return
            self.counters.count(counts_of_attempt(delivery, result))
            log.info("webhook sent", **result.attempt.model_dump(exclude={"at"}))

    def _claim(self, limit: int, busy: InFlight | None = None) -> list[Delivery]:
        try:
            return self.outbox.claim(limit, busy) if limit else []
        except QueueUnavailable as error:
            log.warning("nothing claimed", error=str(error))
            return []


def counts_of_attempt(delivery: Delivery, result: Result) -> Counts:
    """What an attempt adds to the counters; what is delivered once more is late on purpose."""
    counts = WEBHOOK_ATTEMPTS.plus(result.outcome)
    if result.outcome is Outcome.DELIVERED and all(each.error for each in delivery.attempts):
        delay = (result.attempt.at - delivery.created_at).total_seconds()
        counts |= WEBHOOK_DELAY.observed(seconds=delay)
    return counts


def make_deliverer(settings: Settings) -> Deliverer:
    """The parts that the settings name."""
    client = connect(settings.redis_url)
    sender = Sender(
        settings,
        open_job_store(settings),
        open_object_store(settings),
        EndpointStore(client),
        open_outbound(settings),
    )
    return Deliverer(
        Outbox(client), sender, Counters(client), settings.webhooks_at_once, settings.webhooks_at_once_of_host
    )


def main(settings: Settings) -> None:
    """Deliver until SIGTERM or SIGINT."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    log.info("webhooks are sent", at_once=settings.webhooks_at_once)
    heartbeat = make_heartbeat(settings)
    heartbeat.start(SENDERS)
    deliverer = make_deliverer(settings)
    live_in(open_workspace(Path(settings.work_folder)))
    deliverer.run(stopped)
    heartbeat.stop()
