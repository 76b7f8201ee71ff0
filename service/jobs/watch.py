"""Waiting for what happens to a job, without a thread for each who waits."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from redis.exceptions import RedisError

from service.connections import ANSWER_SECONDS, connect_async
from service.errors import QueueUnavailable
from service.jobs.keys import events_key, job_key
from service.jobs.model import Event
from service.jobs.reading import MAX_EVENTS, read_event
from service.jobs.scripts import problem_of
from service.jobs.states import ENDED

LONGEST_BLOCK_SECONDS = 15.0
"""Shorter than the idle time after which proxies and load balancers hang up."""


class JobWatch:
    """Reads the events of jobs as they come. Every method raises `QueueUnavailable` where Redis does not answer."""

    def __init__(self, redis_url: str) -> None:
        self._redis = connect_async(redis_url)
        self._blocked: set[asyncio.Future[Any]] = set()
        self.draining = False
        """Whether this process is about to stop."""

    def drain(self) -> None:
        """Let go whoever waits, and whoever comes: from now on nothing is waited for."""
        self.draining = True
        for reading in self._blocked:
            reading.cancel()

    async def wait_for_end(self, job_id: str, seconds: float) -> None:
        """Return once the job has ended, is gone, or the time is over."""
        deadline = time.monotonic() + seconds
        last = await self._last_event(job_id)
        while not self.draining and not await self._has_ended(job_id):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            events = await self.next(job_id, last, left)
            last = events[-1].id if events else last

    async def follow(self, job_id: str, after: str) -> AsyncIterator[Event | None]:
        """Events after one that was seen, until the job has ended and all are told; None after each quiet while."""
        while True:
            ended = await self._has_ended(job_id)
            events = await self.next(job_id, after, 0 if ended else LONGEST_BLOCK_SECONDS)
            for event in events:
                yield event
                after = event.id
            if not events and (ended or self.draining):
                return
            if not events:
                yield None

    async def next(self, job_id: str, after: str, seconds: float) -> list[Event]:
        """What comes after an event, at once if there is something, else within some seconds."""
        blocks = seconds > 0 and not self.draining
        block = max(1, round(min(seconds, LONGEST_BLOCK_SECONDS) * 1000)) if blocks else None
        reading = asyncio.ensure_future(self._redis.xread({events_key(job_id): after}, count=MAX_EVENTS, block=block))
        self._blocked.add(reading)
        try:
            streams = await answer(reading, (block or 0) / 1000 + ANSWER_SECONDS)
        except asyncio.CancelledError:
            if not self.draining or not reading.cancelled():
                raise
            return []
        finally:
            self._blocked.discard(reading)
        return [read_event(entry_id.decode(), fields) for _, entries in streams or () for entry_id, fields in entries]

    async def _has_ended(self, job_id: str) -> bool:
        status = await answer(self._redis.hget(job_key(job_id), "status"))
        return status is None or status.decode() in ENDED

    async def _last_event(self, job_id: str) -> str:
        newest = await answer(self._redis.xrevrange(events_key(job_id), count=1))
        return newest[0][0].decode() if newest else "0"


async def answer(command: Awaitable[Any], seconds: float = ANSWER_SECONDS) -> Any:
    """What Redis answers, within so long: these connections, which may block, have no time of their own.

    Raises:
        QueueUnavailable: it does not.
    """
    try:
        return await asyncio.wait_for(command, seconds)
    except RedisError as error:
        raise problem_of(error) from error
    except TimeoutError as error:
        raise QueueUnavailable(f"Redis does not answer: {error!r}") from error
