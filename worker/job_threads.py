"""Runs each job on a thread, so that its video can be encoded and stored beside the next job's steps.

At most two jobs of a process are in progress: one has the device, the other has left it and is finishing. A job that is
done with the device first waits for the one that is finishing, and no other job is dequeued meanwhile.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache

import structlog

from worker.lease import check_lease, waiting

log = structlog.get_logger()

POLL_SECONDS = 0.2

Idle = Callable[[], AbstractContextManager[None]]
"""What a job enters to wait for another before it uses the device."""


@cache
def pool() -> ThreadPoolExecutor:
    """Two threads, kept because PyTorch has a thread pool for each; created on first use, as a fork would lose them."""
    return ThreadPoolExecutor(2, thread_name_prefix="job")


@dataclass(eq=False)
class JobThread:
    """A job in progress; `next_may_start` is set once it has left the device or ended."""

    started: float = field(default_factory=time.monotonic)
    holds_slot: bool = False
    left: float | None = None
    """When it left the device and the next one could start, on the monotonic clock; None if it hasn't."""
    result: str | None = None
    """The key of its result, if an identical job may reuse that."""
    next_may_start: threading.Event = field(default_factory=threading.Event)

    @property
    def finishing(self) -> bool:
        return self.left is not None


@dataclass
class JobThreads:
    """The jobs in progress; `slot` is held by the job that is finishing, or by one that must run alone."""

    slot: threading.Lock = field(default_factory=threading.Lock)
    result: str | None = None
    """The key of the result of the job that left the device last."""
    current: ContextVar[JobThread | None] = field(default_factory=lambda: ContextVar("job_thread", default=None))

    def run(self, job: Callable[[], None]) -> None:
        """Run a job on a thread; return once it has ended or left the device."""
        thread = JobThread()
        future = pool().submit(self._run, job, thread)
        while not thread.next_may_start.wait(POLL_SECONDS):
            # Signal handlers run here. A signal that another thread received doesn't end the wait.
            pass
        if not thread.finishing:
            future.result()

    def _run(self, job: Callable[[], None], thread: JobThread) -> None:
        token = self.current.set(thread)
        try:
            job()
        except Exception:
            if thread.finishing:
                # Nothing waits for it any more.
                log.exception("finishing a job failed")
            raise
        finally:
            self.current.reset(token)
            if thread.holds_slot:
                self.slot.release()
            thread.next_may_start.set()

    def leave_device(self, record: Callable[[], None], clean_up: Callable[[], None]) -> None:
        """Call this after the job's last use of the device: the next job starts while this one finishes.

        Calls `record`, waits until the job before has finished, and calls `clean_up` while no other job is in progress.
        Does nothing for a job that runs alone or has left the device.

        Raises:
            Canceled, LeaseLost, Released, JobFailed: the work must stop, see `Lease.check`.
        """
        thread = self.current.get()
        if thread is None or thread.holds_slot:
            return
        record()
        self._take_slot(thread)
        clean_up()
        thread.left, self.result = time.monotonic(), thread.result
        thread.next_may_start.set()

    def run_alone(self, idle: Idle) -> None:
        """Wait for the job that is finishing; no other starts before this one has ended.

        Waits within `idle`. Raises like `leave_device`.
        """
        if thread := self.current.get():
            self._take_slot(thread, idle)

    def expect(self, result: str, reuse: bool, idle: Idle) -> None:
        """Say under which key this job's result will be.

        If it is to `reuse` an identical one, waits for one that is finishing. Waits and raises like `run_alone`.
        """
        if thread := self.current.get():
            if reuse and result == self.result and not thread.holds_slot:
                self._take_slot(thread, idle)
            thread.result = result

    def occupied_seconds(self) -> float:
        """For how long the calling thread's job has kept the next one from starting."""
        thread = self.current.get()
        assert thread is not None
        return (thread.left or time.monotonic()) - thread.started

    def other_in_progress(self) -> bool:
        """Whether this process may have another job in progress beside the calling thread's."""
        thread = self.current.get()
        return thread is not None and (thread.finishing or (not thread.holds_slot and self.slot.locked()))

    def _take_slot(self, thread: JobThread, idle: Idle = nullcontext) -> None:
        thread.holds_slot = self.slot.acquire(blocking=False)
        if thread.holds_slot:
            return
        with waiting(), idle():
            while not self.slot.acquire(timeout=POLL_SECONDS):
                check_lease()
            thread.holds_slot = True


job_threads = JobThreads()
"""Those of this process."""
