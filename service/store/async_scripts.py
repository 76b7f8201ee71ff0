"""Redis on the event loop, for what requests ask so often that the threads would cost more than the answers."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from service.contract.problems import QueueUnavailable
from service.store.circuit import Circuit
from service.store.connections import connect_async
from service.store.scripts import SCRIPTS, Keys, arguments_of, problem_of, text_of

COMMANDS_AT_ONCE = 8
"""And so many connections at most."""
SLICES = 8

TEXTS = {name: text_of(script) for name, script in SCRIPTS.items()}
DIGESTS = {name: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in TEXTS.items()}


class AsyncScripts:
    """A client with all scripts. Every method raises `QueueUnavailable` if Redis is unavailable."""

    def __init__(self, redis_url: str, seconds: float = 2, circuit: Circuit | None = None) -> None:
        """`seconds` for which a silent Redis is waited for."""
        self.client = connect_async(redis_url)
        self.seconds = seconds
        self._circuit = circuit or Circuit()
        self._turns = asyncio.Semaphore(COMMANDS_AT_ONCE)

    async def run(self, name: str, keys: Keys, args: Mapping[str, Any] | None = None) -> Any:
        """Run a script and return its result, as `RedisScripts.run` does."""
        ordered = SCRIPTS[name].in_order(keys)
        return await self.ask(self._evaluate, name, len(ordered), *ordered, *arguments_of(args))

    async def ask(self, command: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """What Redis answers, in time: connections whose reads may block have no time of their own."""
        try:
            async with self._turns:
                with self._circuit.asking():
                    return await within(self.seconds, command(*arguments))
        except RedisError as error:
            raise problem_of(error) from error
        except TimeoutError as error:
            raise QueueUnavailable(f"Redis does not answer: {error!r}") from error

    async def _evaluate(self, name: str, *arguments: Any) -> Any:
        try:
            return await self.client.evalsha(DIGESTS[name], *arguments)
        except NoScriptError:
            return await self.client.eval(TEXTS[name], *arguments)


async def within(seconds: float, command: Awaitable[Any]) -> Any:
    """What a command is answered with.

    The time goes by in slices, between which what has come is looked at: a process with much to do must not take its
    own slowness for Redis' silence.

    Raises:
        TimeoutError: nothing has come.
    """
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None
    async with asyncio.timeout(None) as limit:

        def wait_slice(left: int) -> None:
            nonlocal timer
            if left:
                timer = loop.call_later(seconds / SLICES, wait_slice, left - 1)
            else:
                limit.reschedule(loop.time())

        wait_slice(SLICES)
        try:
            return await command
        finally:
            if timer:
                timer.cancel()
