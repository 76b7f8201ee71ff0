"""Waits for a job's events, without a thread or a connection per caller."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from redis.exceptions import RedisError

from service.contract.problems import QueueUnavailable
from service.contract.record import Event
from service.contract.states import ENDED
from service.store.circuit import Circuit
from service.store.connections import connect_async
from service.store.feed import Feed, within
from service.store.keys import events_key, job_key
from service.store.queries import MAX_EVENTS, read_event
from service.store.scripts import problem_of

LONGEST_BLOCK_SECONDS = 15.0
"""Shorter than the idle timeouts of proxies and load balancers."""
READS_AT_ONCE = 8
"""Also the maximum number of connections, in addition to the feed's."""


class JobWatch:
    """Reads the events of jobs as they occur. Every method raises `QueueUnavailable` if Redis does not respond."""

    def __init__(self, redis_url: str, seconds: float = 2, circuit: Circuit | None = None) -> None:
        self._redis = connect_async(redis_url)
        self._seconds = seconds
        self._circuit = circuit or Circuit()
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._feed = Feed(connect_async(redis_url), self._redis, seconds)
        self.draining = False
        """Whether this process is shutting down."""

    def drain(self) -> None:
        """End all waiting, now and from now on."""
        self.draining = True
        self._feed.close()

    async def wait_for_end(self, job_id: str, seconds: float) -> None:
        """Return when the job has ended, no longer exists, or the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            status, newest = await self._answer(self._newest, job_id)
            left = deadline - time.monotonic()
            if has_ended(status) or self.draining or left <= 0:
                return
            await self._feed.news(job_id, newest[0][0].decode() if newest else "0", left)

    async def follow(self, job_id: str, after: str) -> AsyncIterator[Event | None]:
        """Yield events after a given one until the job has ended; None after each interval without events."""
        quiet = False
        while True:
            status, streams = await self._answer(self._since, job_id, after)
            events = [
                read_event(entry_id.decode(), fields) for _, entries in streams or () for entry_id, fields in entries
            ]
            for event in events:
                yield event
                after = event.id
            if events:
                continue
            if has_ended(status) or self.draining:
                return
            if quiet:
                yield None
            started = time.monotonic()
            await self._feed.news(job_id, after, LONGEST_BLOCK_SECONDS)
            quiet = time.monotonic() - started >= LONGEST_BLOCK_SECONDS

    async def _newest(self, job_id: str) -> Any:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hget(job_key(job_id), "status")
        pipeline.xrevrange(events_key(job_id), count=1)
        return await pipeline.execute()

    async def _since(self, job_id: str, after: str) -> Any:
        # The state first: if the job has ended by then, no event follows those read.
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hget(job_key(job_id), "status")
        pipeline.xread({events_key(job_id): after}, count=MAX_EVENTS)
        return await pipeline.execute()

    async def _answer(self, command: Callable[..., Coroutine[Any, Any, Any]], *arguments: str) -> Any:
        """Redis' response, with a timeout, which connections with blocking reads do not have."""
        try:
            async with self._reads:
                with self._circuit.asking():
                    return await within(self._seconds, command(*arguments))
        except RedisError as error:
            raise problem_of(error) from error
        except TimeoutError as error:
            raise QueueUnavailable(f"Redis does not answer: {error!r}") from error


def has_ended(status: bytes | None) -> bool:
    """Whether a job in this state has ended, or is gone."""
    return status is None or status.decode() in ENDED
