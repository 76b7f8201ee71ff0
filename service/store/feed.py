"""Watches all jobs that callers wait for over a single connection to Redis.

It only reports that something is new; callers read it themselves. A separate stream interrupts the blocking read when
another job must be watched, too.
"""

import asyncio
import uuid
from typing import Any

from redis.exceptions import RedisError

from service.contract.problems import QueueUnavailable
from service.store.async_scripts import within
from service.store.keys import NAMESPACE, events_key
from service.store.scripts import problem_of

BLOCK_SECONDS = 1.0
GATHER_SECONDS = 0.02
"""Pause after news, so that a busy job does not cause a read for each of its steps."""
WAKE_SECONDS = 60


class Feed:
    """Belongs to one event loop. `client` is for the blocking read, `commands` for everything else."""

    def __init__(self, client: Any, commands: Any, answer_seconds: float) -> None:
        self._client, self._commands, self._answer_seconds = client, commands, answer_seconds
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._places: dict[str, str] = {}
        self._wake_key = f"{NAMESPACE}wake:{uuid.uuid4().hex}"
        self._woken = "0"
        self._blocked = False
        self._reader: asyncio.Task[None] | None = None
        self._waker: asyncio.Task[None] | None = None
        """Kept only so that it isn't garbage-collected before it is done."""
        self._closed = False

    async def news(self, job_id: str, after: str, seconds: float) -> None:
        """Return as soon as there may be something after a given event, or when the time is over.

        Raises:
            QueueUnavailable: Redis does not respond.
        """
        if self._closed:
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, set()).add(waiting)
        known = self._places.get(job_id)
        if known is None or place(after) < place(known):
            # The earliest of all callers: one that has seen more is woken once in vain.
            self._places[job_id] = after
            await self._ensure_watched()
        try:
            await asyncio.wait_for(waiting, seconds)
        except TimeoutError:
            return
        finally:
            self._leave(job_id, waiting)

    def close(self) -> None:
        """End all waiting, now and from now on."""
        self._closed = True
        for job_id in list(self._waiting):
            self._notify(job_id)

    def _leave(self, job_id: str, waiting: "asyncio.Future[None]") -> None:
        others = self._waiting.get(job_id, set())
        others.discard(waiting)
        if not others:
            self._waiting.pop(job_id, None)
            self._places.pop(job_id, None)

    def _notify(self, job_id: str, problem: Exception | None = None) -> None:
        for waiting in self._waiting.get(job_id, ()):
            if waiting.done():
                continue
            if problem:
                waiting.set_exception(problem)
            else:
                waiting.set_result(None)

    async def _ensure_watched(self) -> None:
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read())
        elif self._blocked:
            self._blocked = False
            # If this fails, the blocking read fails too, or ends by itself within a second.
            self._waker = asyncio.create_task(self._wake())
            self._waker.add_done_callback(forget)

    async def _wake(self) -> None:
        pipeline = self._commands.pipeline(transaction=False)
        pipeline.xadd(self._wake_key, {"w": "1"}, maxlen=1)
        pipeline.expire(self._wake_key, WAKE_SECONDS)
        await within(self._answer_seconds, pipeline.execute())

    async def _read(self) -> None:
        try:
            while self._waiting:
                for job_id in await self._round():
                    self._notify(job_id)
                await asyncio.sleep(GATHER_SECONDS)
        except RedisError as error:
            self._fail(problem_of(error))
        except TimeoutError as error:
            self._fail(QueueUnavailable(f"Redis does not answer: {error!r}"))

    async def _round(self) -> list[str]:
        """Read until something is new; returns the jobs with news."""
        jobs = {events_key(job_id): job_id for job_id in self._places}
        streams = {key: self._places[job_id] for key, job_id in jobs.items()}
        self._blocked = True
        try:
            found = await asyncio.wait_for(
                self._client.xread(
                    {self._wake_key: self._woken, **streams}, count=1, block=round(BLOCK_SECONDS * 1000)
                ),
                BLOCK_SECONDS + self._answer_seconds,
            )
        finally:
            self._blocked = False
        new = []
        for key, entries in found or ():
            last = entries[-1][0].decode()
            job_id = jobs.get(key.decode())
            if job_id is None:
                self._woken = last
            else:
                new.append(job_id)
        return new

    def _fail(self, problem: QueueUnavailable) -> None:
        for job_id in list(self._waiting):
            self._notify(job_id, problem)


def place(event_id: str) -> tuple[int, int]:
    """Sort key of an event within its job."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)


def forget(task: "asyncio.Task[None]") -> None:
    """Retrieve the exception of a task whose failure does not matter."""
    if not task.cancelled():
        task.exception()
