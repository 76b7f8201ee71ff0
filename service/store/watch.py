"""Waits for a job's events, without a thread or a connection per caller."""

import time
from collections.abc import AsyncIterator
from typing import Any

from service.contract.record import Event
from service.contract.states import ENDED
from service.store.async_scripts import AsyncScripts
from service.store.connections import connect_async
from service.store.feed import Feed
from service.store.keys import events_key, job_key
from service.store.queries import MAX_EVENTS, read_event

LONGEST_BLOCK_SECONDS = 15.0
"""Shorter than the idle timeouts of proxies and load balancers."""


class JobWatch:
    """Reads the events of jobs as they occur. Every method raises `QueueUnavailable` if Redis does not respond."""

    def __init__(self, redis_url: str, scripts: AsyncScripts) -> None:
        self._redis = scripts
        self._feed = Feed(connect_async(redis_url), scripts.client, scripts.seconds)
        self.draining = False
        """Whether this process is shutting down."""

    def drain(self) -> None:
        """End all waits, and start no more."""
        self.draining = True
        self._feed.close()

    async def wait_for_end(self, job_id: str, seconds: float) -> None:
        """Return when the job has ended, no longer exists, or the time is over."""
        deadline = time.monotonic() + seconds
        while True:
            status, newest = await self._redis.execute(self._newest, job_id)
            left = deadline - time.monotonic()
            if has_ended(status) or self.draining or left <= 0:
                return
            await self._feed.wait_for_event(job_id, newest[0][0].decode() if newest else "0", left)

    async def follow(self, job_id: str, after: str) -> AsyncIterator[Event | None]:
        """Yield events after a given one until the job has ended; None after each interval without events."""
        quiet = False
        while True:
            status, streams = await self._redis.execute(self._since, job_id, after)
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
            await self._feed.wait_for_event(job_id, after, LONGEST_BLOCK_SECONDS)
            quiet = time.monotonic() - started >= LONGEST_BLOCK_SECONDS

    async def _newest(self, job_id: str) -> Any:
        pipeline = self._redis.client.pipeline(transaction=False)
        pipeline.hget(job_key(job_id), "status")
        pipeline.xrevrange(events_key(job_id), count=1)
        return await pipeline.execute()

    async def _since(self, job_id: str, after: str) -> Any:
        # The state first: if the job has ended by then, no event follows those read.
        pipeline = self._redis.client.pipeline(transaction=False)
        pipeline.hget(job_key(job_id), "status")
        pipeline.xread({events_key(job_id): after}, count=MAX_EVENTS)
        return await pipeline.execute()


def has_ended(status: bytes | None) -> bool:
    """Whether a job in this state has ended, or is gone."""
    return status is None or status.decode() in ENDED
