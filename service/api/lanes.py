"""Threads for what takes long, apart from those that everybody's short questions go through, and shared by tenants."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from service.api.turns import Turns
from service.contract.settings import Settings

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

DECODERS = 4
"""Pictures that are decoded at once: it is the processor that they wait for."""


@dataclass(frozen=True)
class Lane:
    """A pool of threads, each of which is taken in turn."""

    pool: ThreadPoolExecutor
    turns: Turns

    async def run(
        self,
        tenant: str,
        function: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Result:
        """Run in a thread; raises `ServiceBusy` where none gets free in time."""
        return await self.run_of_size(tenant, 1, partial(function, *arguments, **options))

    async def run_of_size(self, tenant: str, size: int, function: Callable[[], Result]) -> Result:
        """The same, for what takes more than one of what the lane's turns are at."""
        async with self.turns.turn(tenant, size):
            return await self.in_thread(function)

    async def in_thread(self, function: Callable[[], Result]) -> Result:
        """The same, for who has a turn already."""
        # It goes on with the ids that logs and traces tell.
        within = contextvars.copy_context()
        running = asyncio.get_running_loop().run_in_executor(self.pool, within.run, function)
        # A thread cannot be stopped, so its turn is over when it has ended, whoever still waits for it.
        return await finished(running)


@dataclass(frozen=True)
class Lanes:
    """What requests do that takes long.

    Attributes:
        fetching: pictures from URLs and uploads, which are held until they are decoded.
        decoding: pictures, by the bytes that it takes.
        storing: writing what makes a job, to the storage and to Redis.
        reading: parts of files that go to clients through this process.
    """

    fetching: Lane
    decoding: Lane
    storing: Lane
    reading: Lane


def open_lanes(settings: Settings) -> Lanes:
    """The lanes as the settings have them; no tenant takes more than half of any."""

    def lane(name: str, threads: int, most: int) -> Lane:
        turns = Turns(most, max(1, most // 2), settings.max_turn_seconds)
        return Lane(ThreadPoolExecutor(threads, thread_name_prefix=name), turns)

    return Lanes(
        lane("fetch", settings.max_fetches, settings.max_fetches),
        lane("decode", DECODERS, settings.max_decoding_bytes),
        lane("store", settings.max_storing, settings.max_storing),
        lane("read", settings.max_fetches, settings.max_fetches),
    )


async def finished(running: asyncio.Future[Result]) -> Result:
    """The result of a thread, which is waited for even where the request is given up meanwhile."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
