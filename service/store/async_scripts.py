"""Redis on the event loop, for lookups that are so frequent that threads would cost more than the lookups."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from service.contract.problems import QueueUnavailable
from service.store.circuit import Circuit
from service.store.connections import connect_async
from service.store.scripts import SCRIPTS, Keys, arguments_of, problem_of, text_of

MAX_CONCURRENT_COMMANDS = 8
"""Also the maximum number of connections."""
TIMEOUT_SLICES = 8

TEXTS = {name: text_of(script) for name, script in SCRIPTS.items()}
DIGESTS = {name: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in TEXTS.items()}


class AsyncScripts:
    """A client with all scripts. Every method raises `QueueUnavailable` if Redis is unavailable."""

    def __init__(self, redis_url: str, seconds: float = 2, circuit: Circuit | None = None) -> None:
        """`seconds`: how long to wait for a response."""
        self.client = connect_async(redis_url)
        self.seconds = seconds
        self._circuit = circuit or Circuit()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_COMMANDS)

    async def run(self, name: str, keys: Keys, args: Mapping[str, Any] | None = None) -> Any:
        """Run a script and return its result, as `RedisScripts.run` does."""
        ordered = SCRIPTS[name].in_order(keys)
        return await self.execute(self._evaluate, name, len(ordered), *ordered, *arguments_of(args))

    async def execute(self, command: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Run a command with a timeout, which the connections don't have, as they also make blocking reads."""
        try:
            async with self._slots:
                with self._circuit.call():
                    return await with_timeout(self.seconds, command(*arguments))
        except RedisError as error:
            raise problem_of(error) from error
        except TimeoutError as error:
            raise QueueUnavailable(f"Redis does not respond: {error!r}") from error

    async def _evaluate(self, name: str, *arguments: Any) -> Any:
        try:
            return await self.client.evalsha(DIGESTS[name], *arguments)
        except NoScriptError:
            return await self.client.eval(TEXTS[name], *arguments)


async def with_timeout(seconds: float, command: Awaitable[Any]) -> Any:
    """Return a command's response.

    The timeout is counted in slices, and responses are read between them, so that a busy process doesn't take its own
    delays for an unresponsive Redis.

    Raises:
        TimeoutError: there was no response in time.
    """
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None
    async with asyncio.timeout(None) as limit:

        def wait_slice(left: int) -> None:
            nonlocal timer
            if left:
                timer = loop.call_later(seconds / TIMEOUT_SLICES, wait_slice, left - 1)
            else:
                limit.reschedule(loop.time())

        wait_slice(TIMEOUT_SLICES)
        try:
            return await command
        finally:
            if timer:
                timer.cancel()
