"""A worker says every few seconds that it lives, and what it does."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from service.contract.problems import QueueUnavailable
from service.contract.settings import Settings
from service.store.connections import connect
from service.store.workers import Worker, WorkerRegistry

log = structlog.get_logger()

WORKER = f"{socket.gethostname()}-{os.getpid()}"
"""Name of this process, by which it is elected and by which its jobs say who ran them."""

BEATS_A_LEASE = 4
MISSED_BEATS = 3
"""After so many a worker counts as gone."""


@dataclass
class Heartbeat:
    """Beats in a thread; once more at each change."""

    registry: WorkerRegistry
    worker: Worker
    interval_seconds: float
    _changed: threading.Event = field(default_factory=threading.Event)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, *queues: str) -> None:
        """Beat from now on, as a worker of some queues."""
        self.worker = self.worker.model_copy(update={"queues": queues})
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Count as gone at once."""
        self._stopped.set()
        self._changed.set()
        if self._thread:
            self._thread.join()

    @contextmanager
    def busy(self, job_id: str) -> Iterator[None]:
        """Run a job."""
        self._become(job_id)
        try:
            yield
        finally:
            self._become(None)

    def _become(self, job_id: str | None) -> None:
        self.worker = self.worker.model_copy(update={"job": job_id})
        self._changed.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._changed.clear()
            self._tell(lambda: self.registry.beat(self.worker, MISSED_BEATS * self.interval_seconds))
            self._changed.wait(self.interval_seconds)
        self._tell(lambda: self.registry.forget(self.worker))

    def _tell(self, what: Callable[[], None]) -> None:
        try:
            what()
        except QueueUnavailable as error:
            log.warning("no heartbeat", error=str(error))


def make_heartbeat(settings: Settings, device: str | None = None, model: str | None = None) -> Heartbeat:
    """Of this process."""
    worker = Worker(id=WORKER, queues=(), device=device, model=model, since=datetime.now(UTC))
    return Heartbeat(WorkerRegistry(connect(settings.redis_url)), worker, settings.lease_seconds / BEATS_A_LEASE)
