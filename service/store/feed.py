"""Watches all jobs that callers wait for over a single connection to Redis.

It only reports that a job may have new events; callers read them themselves. A separate stream interrupts the blocking
read when another job must be watched, too.
"""

import asyncio
import uuid
from typing import Any

from redis.exceptions import RedisError

from service.contract.problems import QueueUnavailable
from service.store.async_scripts import with_timeout
from service.store.keys import NAMESPACE, events_key
from service.store.scripts import problem_of

BLOCK_SECONDS = 1.0
BATCH_SECONDS = 0.02
"""Pause after new events, so that a busy job does not cause a read for each of its steps."""
WAKE_SECONDS = 60
"""Lifetime of the stream that interrupts the read."""


class Feed:
    """Belongs to one event loop. `client` is for the blocking read, `commands` for everything else."""

    def __init__(self, client: Any, commands: Any, timeout_seconds: float) -> None:
        self._client, self._commands, self._timeout_seconds = client, commands, timeout_seconds
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._cursors: dict[str, str] = {}
        """The event after which to read, by job."""
        self._wake_key = f"{NAMESPACE}wake:{uuid.uuid4().hex}"
        self._wake_cursor = "0"
        self._blocked = False
        self._reader: asyncio.Task[None] | None = None
        self._waker: asyncio.Task[None] | None = None
        """Kept only so that it isn't garbage-collected before it is done."""
        self._closed = False

    async def wait_for_event(self, job_id: str, after: str, seconds: float) -> None:
        """Return once there may be an event after the given one, or when the time is over.

        Raises:
            QueueUnavailable: Redis does not respond.
        """
        if self._closed:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(job_id, set()).add(waiter)
        cursor = self._cursors.get(job_id)
        if cursor is None or sort_key(after) < sort_key(cursor):
            # The earliest of all callers': one that has seen more wakes once for nothing.
            self._cursors[job_id] = after
            await self._ensure_watched()
        try:
            await asyncio.wait_for(waiter, seconds)
        except TimeoutError:
            return
        finally:
            self._remove(job_id, waiter)

    def close(self) -> None:
        """Wake all callers, and let no call wait from now on."""
        self._closed = True
        self._notify_all()

    def _remove(self, job_id: str, waiter: "asyncio.Future[None]") -> None:
        others = self._waiters.get(job_id, set())
        others.discard(waiter)
        if not others:
            self._waiters.pop(job_id, None)
            self._cursors.pop(job_id, None)

    def _notify(self, job_id: str, problem: Exception | None = None) -> None:
        for waiter in self._waiters.get(job_id, ()):
            if waiter.done():
                continue
            if problem:
                waiter.set_exception(problem)
            else:
                waiter.set_result(None)

    def _notify_all(self, problem: Exception | None = None) -> None:
        for job_id in self._waiters:
            self._notify(job_id, problem)

    async def _ensure_watched(self) -> None:
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        elif self._blocked:
            self._blocked = False
            # If this fails, the blocking read fails too, or ends by itself within a second.
            self._waker = asyncio.create_task(self._wake())
            self._waker.add_done_callback(ignore_failure)

    async def _wake(self) -> None:
        pipeline = self._commands.pipeline(transaction=False)
        pipeline.xadd(self._wake_key, {"w": "1"}, maxlen=1)
        pipeline.expire(self._wake_key, WAKE_SECONDS)
        await with_timeout(self._timeout_seconds, pipeline.execute())

    async def _read(self) -> None:
        try:
            while self._waiters:
                for job_id in await self._read_once():
                    self._notify(job_id)
                await asyncio.sleep(BATCH_SECONDS)
        except RedisError as error:
            self._notify_all(problem_of(error))
        except TimeoutError as error:
            self._notify_all(QueueUnavailable(f"Redis does not respond: {error!r}"))

    async def _read_once(self) -> list[str]:
        """Block until there are new events; returns their jobs."""
        jobs = {events_key(job_id): job_id for job_id in self._cursors}
        cursors = {key: self._cursors[job_id] for key, job_id in jobs.items()}
        self._blocked = True
        try:
            streams = await asyncio.wait_for(
                self._client.xread(
                    {self._wake_key: self._wake_cursor, **cursors}, count=1, block=round(BLOCK_SECONDS * 1000)
                ),
                BLOCK_SECONDS + self._timeout_seconds,
            )
        finally:
            self._blocked = False
        found = []
        for key, entries in streams or ():
            job_id = jobs.get(key.decode())
            if job_id is None:
                self._wake_cursor = entries[-1][0].decode()
            else:
                found.append(job_id)
        return found


def sort_key(event_id: str) -> tuple[int, int]:
    """Sort key of an event within its job."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


def ignore_failure(task: "asyncio.Task[None]") -> None:
    """Retrieve a task's exception, so that asyncio doesn't log it."""
    if not task.cancelled():
        task.exception()
