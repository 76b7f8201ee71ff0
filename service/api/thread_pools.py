"""Thread pools that tenants share fairly, separate from the framework's own, which is left to probes and pages."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from service.api.fair_semaphore import FairSemaphore
from service.contract.settings import Settings

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

DECODERS = 4
"""Threads that decode pictures: more would only compete for the CPU."""
CALLS = 40
"""Threads that make the calls to Redis and the storage of ordinary requests."""


@dataclass(frozen=True)
class FairThreadPool:
    """A thread pool that is entered through a semaphore; a request that waits there holds no thread."""

    executor: ThreadPoolExecutor
    semaphore: FairSemaphore

    async def run(
        self,
        tenant: str,
        function: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Result:
        """Run a function in a thread; raises `ServiceBusy` if the wait for one times out."""
        return await self.run_sized(tenant, 1, partial(function, *arguments, **options))

    async def run_sized(self, tenant: str, size: int, function: Callable[[], Result]) -> Result:
        """Like `run`, but hold `size` of the semaphore instead of 1."""
        async with self.semaphore.acquire(tenant, size):
            return await self.run_acquired(function)

    async def run_acquired(self, function: Callable[[], Result]) -> Result:
        """Like `run`, for a caller that already holds the semaphore."""
        # Logs and traces from the thread carry the request's IDs.
        context = contextvars.copy_context()
        running = asyncio.get_running_loop().run_in_executor(self.executor, context.run, function)
        return await wait_for_thread(running)


@dataclass(frozen=True)
class ThreadPools:
    """One pool per kind of work.

    Attributes:
        calling: a few calls to Redis or the storage, which take milliseconds unless one of them is slow.
        fetching: get pictures from URLs and uploads; the semaphore is held until they are decoded, quick ones stored.
        decoding: decode pictures; the semaphore counts the memory that this takes, in bytes.
        storing: look at a job's input; write it, and the record.
        reading: read chunks of files that clients download through this process.
    """

    calling: FairThreadPool
    fetching: FairThreadPool
    decoding: FairThreadPool
    storing: FairThreadPool
    reading: FairThreadPool


def open_thread_pools(settings: Settings) -> ThreadPools:
    """Create the pools; a tenant may hold half of each."""

    def pool(name: str, threads: int, capacity: int) -> FairThreadPool:
        semaphore = FairSemaphore(capacity, max(1, capacity // 2), settings.max_slot_wait_seconds)
        return FairThreadPool(ThreadPoolExecutor(threads, thread_name_prefix=name), semaphore)

    return ThreadPools(
        pool("call", CALLS, CALLS),
        pool("fetch", settings.max_fetches, settings.max_fetches),
        pool("decode", DECODERS, settings.max_decoding_bytes),
        pool("store", settings.max_storing, settings.max_storing),
        pool("read", settings.max_fetches, settings.max_fetches),
    )


async def wait_for_thread(running: asyncio.Future[Result]) -> Result:
    """Return a thread's result. Cancellation waits for the thread to end: it can't be stopped, and is still in use."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
