"""Commands and Lua scripts in Redis, whatever they are for."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import redis

from service.contract.problems import QueueRefused, QueueUnavailable

SHARED = {
    "outbox": ("dequeue", "transition", "claim_deliveries", "record_delivery", "redeliver"),
    "place": ("read", "page"),
    "usage": (
        *("announce", "reserve", "release", "removed", "forget", "create", "transition"),
        *("note_stored", "release_stored"),
    ),
}
"""Files of functions, and the scripts that use them."""

FOLDER = resources.files("service.store").joinpath("lua")
FILES = {path.name.removesuffix(".lua"): path.read_text() for path in FOLDER.iterdir() if path.name.endswith(".lua")}
SCRIPTS = {
    name: "".join(FILES[shared] for shared, users in SHARED.items() if name in users) + text
    for name, text in FILES.items()
    if name not in SHARED
}
"""The text of each by its name, with the functions that it uses."""

CODE = re.compile(r"(?:^|-|error: )([A-Z]{3,}) ")
"""What an answer begins with; that of a command in a script or a pipeline may stand within the whole one's."""
FAULTS = ("ERR", "WRONGTYPE")
"""Codes of answers to what is wrong in itself. All others tell of Redis: no memory, no disk, no primary."""


class Scripts:
    """A client with the scripts. Every method raises `QueueUnavailable` where Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._scripts = {name: client.register_script(text) for name, text in SCRIPTS.items()}

    def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        try:
            return self._scripts[script](keys=keys, args=arguments)
        except redis.RedisError as error:
            raise problem_of(error) from error

    def _past(self, key: str, limit: int) -> list[str]:
        """Members of a sorted set whose time has come."""
        return [member.decode() for member in self._call("zrangebyscore", key, "-inf", self._now_ms(), 0, limit)]

    def _now_ms(self) -> int:
        """The time on Redis' own clock."""
        seconds, microseconds = self._call("time")
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _now(self) -> datetime:
        """The same as a moment."""
        return datetime.fromtimestamp(self._now_ms() / 1000, UTC)

    def _call(self, command: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._redis, command)(*arguments, **options)
        except redis.RedisError as error:
            raise problem_of(error) from error

    def _all(self, commands: Sequence[tuple[Any, ...]], together: bool = False) -> list[Any]:
        """The answers of several commands, each a name and arguments, in one round trip; `together`, all or none."""
        pipeline = self._redis.pipeline(transaction=together)
        for command in commands:
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
        try:
            return pipeline.execute()
        except redis.RedisError as error:
            raise problem_of(error) from error


def problem_of(error: redis.RedisError) -> QueueUnavailable:
    """Whether Redis cannot serve now, or was asked for what it never will."""
    code = CODE.search(str(error))
    # The client has classes of their own for most of what tells of Redis itself, and leaves out ERR.
    if type(error) is redis.ResponseError and (code is None or code[1] in FAULTS):
        return QueueRefused(f"Redis refuses: {error}")
    return QueueUnavailable(f"Redis does not answer: {error}")


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
