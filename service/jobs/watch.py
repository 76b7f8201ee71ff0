"""Waiting for what happens to a job, without a thread for each who waits."""

import time
from collections.abc import AsyncIterator

from redis.exceptions import RedisError

from service.connections import connect_async
from service.errors import QueueUnavailable
from service.jobs.keys import events_key, job_key
from service.jobs.model import Event
from service.jobs.reading import MAX_EVENTS, read_event
from service.jobs.states import ENDED

LONGEST_BLOCK_SECONDS = 15.0
"""Shorter than the idle time after which proxies and load balancers hang up."""


class JobWatch:
    """Reads the events of jobs as they come. Every method raises `QueueUnavailable` where Redis does not answer."""

    def __init__(self, redis_url: str) -> None:
        self._redis = connect_async(redis_url)

    async def wait_for_end(self, job_id: str, seconds: float) -> None:
        """Return once the job has ended, is gone, or the time is over."""
        deadline = time.monotonic() + seconds
        last = await self._last_event(job_id)
        while not await self._has_ended(job_id):
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
            if not events and ended:
                return
            if not events:
                yield None

    async def next(self, job_id: str, after: str, seconds: float) -> list[Event]:
        """What comes after an event, at once if there is something, else within some seconds."""
        block = max(1, round(min(seconds, LONGEST_BLOCK_SECONDS) * 1000)) if seconds > 0 else None
        try:
            streams = await self._redis.xread({events_key(job_id): after}, count=MAX_EVENTS, block=block)
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error
        return [read_event(entry_id.decode(), fields) for _, entries in streams or () for entry_id, fields in entries]

    async def _has_ended(self, job_id: str) -> bool:
        try:
            status = await self._redis.hget(job_key(job_id), "status")
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error
        return status is None or status.decode() in ENDED

    async def _last_event(self, job_id: str) -> str:
        try:
            newest = await self._redis.xrevrange(events_key(job_id), count=1)
        except RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error
        return newest[0][0].decode() if newest else "0"
