"""Sends webhooks: claims due deliveries in Redis, many at a time, and records the result of each.

Each delivery runs in a thread; a tenant gets at most half of the threads, and fewer while other tenants need some.

If this process dies after sending and before recording, the webhook is sent again with the same ID.
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
from service.store.queries import JobQueries
from service.store.queue import SENDERS
from service.store.scripts import RedisScripts
from service.webhooks.endpoints import EndpointStore
from service.webhooks.outbox import InFlight, Outbox, Outcome
from service.webhooks.send import Result, Sender
from worker.health import set_alive_folder, touch
from worker.heartbeat import make_heartbeat
from worker.workspace import open_workspace

log = structlog.get_logger()

PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Deliverer:
    """Makes up to `max_concurrent` deliveries at once."""

    outbox: Outbox
    sender: Sender
    counters: Counters
    max_concurrent: int
    max_per_host: int

    def run(self, stopped: threading.Event) -> None:
        """Deliver until stopped, then wait for the attempts in progress."""
        running: dict[Future[None], Delivery] = {}
        with ThreadPoolExecutor(self.max_concurrent, thread_name_prefix="webhook") as pool:
            while not stopped.is_set():
                touch()
                running = {each: delivery for each, delivery in running.items() if not each.done()}
                in_flight = InFlight([*running.values()], self.max_per_host)
                claimed = self._claim(self.max_concurrent - len(running), in_flight)
                running |= {pool.submit(self.deliver, delivery): delivery for delivery in claimed}
                if running and not claimed:
                    wait(running, PAUSE_SECONDS, FIRST_COMPLETED)
                elif not claimed:
                    stopped.wait(PAUSE_SECONDS)

    def deliver(self, delivery: Delivery) -> None:
        """Make and record one attempt; if recording fails, it is repeated once its claim expires."""
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

    def _claim(self, limit: int, in_flight: InFlight) -> list[Delivery]:
        try:
            return self.outbox.claim(limit, in_flight) if limit else []
        except QueueUnavailable as error:
            log.warning("claiming webhooks failed", error=str(error))
            return []


def counts_of_attempt(delivery: Delivery, result: Result) -> Counts:
    """The counts of an attempt; the delay is counted except for redeliveries, which are late on purpose."""
    counts = WEBHOOK_ATTEMPTS.plus(result.outcome)
    if result.outcome is Outcome.DELIVERED and all(each.error for each in delivery.attempts):
        delay = (result.attempt.at - delivery.created_at).total_seconds()
        counts |= WEBHOOK_DELAY.observed(seconds=delay)
    return counts


def make_deliverer(settings: Settings) -> Deliverer:
    """A deliverer as configured."""
    client = connect(settings.redis_url)
    sender = Sender(
        settings,
        JobQueries(RedisScripts(client)),
        open_object_store(settings),
        EndpointStore(client),
        open_outbound(settings),
    )
    return Deliverer(
        Outbox(client), sender, Counters(client), settings.webhook_concurrency, settings.webhook_concurrency_per_host
    )


def main(settings: Settings) -> None:
    """Deliver until SIGTERM or SIGINT."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    log.info("sending webhooks", max_concurrent=settings.webhook_concurrency)
    heartbeat = make_heartbeat(settings)
    heartbeat.start(SENDERS)
    deliverer = make_deliverer(settings)
    set_alive_folder(open_workspace(Path(settings.work_folder)))
    deliverer.run(stopped)
    heartbeat.stop()
