"""Reports every few seconds that this worker is alive and what it is doing."""

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
from service.store.queue import QUEUES
from service.store.workers import Worker, WorkerRegistry, WorkerSigning

log = structlog.get_logger()

WORKER = f"{socket.gethostname()}-{os.getpid()}"
"""This process's name in elections and in the records of its jobs."""

BEATS_PER_LEASE = 4
CLIP_QUEUES = {QUEUES["animate"], QUEUES["edit"]}
MISSED_BEATS = 3
"""Missed heartbeats after which a worker counts as dead."""


@dataclass
class Heartbeat:
    """Sends heartbeats from a thread, periodically and at each change; `signing` returns the state of its key."""

    registry: WorkerRegistry
    worker: Worker
    interval_seconds: float
    signing: Callable[[], WorkerSigning | None] = lambda: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _changed: threading.Event = field(default_factory=threading.Event)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self, *queues: str) -> None:
        """Start sending heartbeats, as a worker for these queues."""
        self.worker = self.worker.model_copy(update={"queues": queues})
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Unregister the worker and stop."""
        self._stopped.set()
        self._changed.set()
        if self._thread:
            self._thread.join()

    @contextmanager
    def busy(self, job_id: str) -> Iterator[None]:
        """Report that the job is running."""
        self._set_jobs(lambda jobs: (*jobs, job_id))
        try:
            yield
        finally:
            self._set_jobs(lambda jobs: tuple(each for each in jobs if each != job_id))

    def _set_jobs(self, change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> None:
        # Two jobs may start and end at the same time.
        with self._lock:
            self.worker = self.worker.model_copy(update={"jobs": change(self.worker.jobs)})
        self._changed.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._changed.clear()
            self._try(self._beat)
            self._changed.wait(self.interval_seconds)
        self._try(lambda: self.registry.forget(self.worker))

    def _beat(self) -> None:
        makes_videos = CLIP_QUEUES & set(self.worker.queues)
        worker = self.worker.model_copy(update={"signing": self.signing() if makes_videos else None})
        self.registry.beat(worker, MISSED_BEATS * self.interval_seconds)

    def _try(self, call: Callable[[], None]) -> None:
        try:
            call()
        except QueueUnavailable as error:
            log.warning("heartbeat failed", error=str(error))


def make_heartbeat(
    settings: Settings,
    device: str | None = None,
    model: str | None = None,
    signing: Callable[[], WorkerSigning | None] = lambda: None,
) -> Heartbeat:
    """The heartbeat of this process."""
    worker = Worker(id=WORKER, queues=(), device=device, model=model, since=datetime.now(UTC))
    registry = WorkerRegistry(connect(settings.redis_url))
    return Heartbeat(registry, worker, settings.lease_seconds / BEATS_PER_LEASE, signing)
