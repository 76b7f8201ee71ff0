"""Redis commands and Lua scripts.

A script is a file in `lua/` that declares in its head, one line each:

    -- uses: clock quota          the files of shared functions that are loaded before it
    -- keys: job queue rest...    the names of its keys: `keys.job`; `...` after the last one makes it a list

Its other arguments are in `args`, and the fields and values of a hash to write in the list `fields`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import redis

from service.contract.problems import QueueRefused, QueueUnavailable
from service.contract.record import Job
from service.contract.states import HELD
from service.store.connections import require_durable

DECLARED = re.compile(r"^-- (uses|keys): (.+)$", re.MULTILINE)
LIST = "..."

CODE = re.compile(r"(?:^|-|error: )([A-Z]{3,}) ")
"""The code of an error reply; that of a command in a script or pipeline is inside the outer reply."""
FAULTS = ("ERR", "WRONGTYPE")
"""Codes of errors in the command itself. All others concern Redis: no memory, no disk, no primary."""

Keys = Mapping[str, str | Sequence[str]]
"""A script's keys by the names that it declares."""


@dataclass(frozen=True)
class Script:
    """A script as its file declares it."""

    keys: tuple[str, ...]
    uses: tuple[str, ...]
    body: str

    @classmethod
    def read(cls, body: str) -> "Script":
        declared = {what: tuple(names.split()) for what, names in DECLARED.findall(body)}
        return cls(declared.get("keys", ()), declared.get("uses", ()), body)

    @property
    def prelude(self) -> str:
        """The lines before the script that name its keys and arguments."""
        named = [
            f"{name.removesuffix(LIST)} = "
            + (f"{{unpack(KEYS, {place})}}" if name.endswith(LIST) else f"KEYS[{place}]")
            for place, name in enumerate(self.keys, 1)
        ]
        return f"local keys = {{{', '.join(named)}}}\nlocal args, fields = cjson.decode(ARGV[1]), {{unpack(ARGV, 2)}}\n"

    def in_order(self, keys: Keys) -> list[str]:
        """The keys in the order of their declaration.

        Raises:
            ValueError: they are not the ones that the script declares.
        """
        names = [name.removesuffix(LIST) for name in self.keys]
        if sorted(names) != sorted(keys):
            raise ValueError(f"the script declares the keys {names}, but got {list(keys)}")
        listed = [keys[name] for name in names]
        return [each for given in listed for each in ((given,) if isinstance(given, str) else given)]


FOLDER = resources.files("service.store").joinpath("lua")
FILES = {
    path.name.removesuffix(".lua"): Script.read(path.read_text())
    for path in FOLDER.iterdir()
    if path.name.endswith(".lua")
}
SCRIPTS = {name: script for name, script in FILES.items() if script.keys}
"""All scripts by name; the other files contain shared functions."""


def text_of(script: Script) -> str:
    """The full text that Redis runs: shared functions, prelude, script."""
    return "".join(FILES[name].body for name in functions_of(script)) + script.prelude + script.body


def functions_of(script: Script) -> list[str]:
    """The files of functions that a script uses, each after those that it uses itself."""
    ordered: dict[str, None] = {}
    for name in script.uses:
        ordered |= dict.fromkeys([*functions_of(FILES[name]), name])
    return list(ordered)


class RedisScripts:
    """A Redis client with all scripts. Every method raises `QueueUnavailable` if Redis is unavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._scripts = {name: client.register_script(text_of(script)) for name, script in SCRIPTS.items()}

    def run(
        self, name: str, keys: Keys, args: Mapping[str, Any] | None = None, fields: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a script and return its result. Arguments that are None are omitted, because a JSON null is true in Lua.

        Raises:
            ValueError: the script declares other keys.
        """
        try:
            return self._scripts[name](keys=SCRIPTS[name].in_order(keys), args=arguments_of(args, fields))
        except redis.RedisError as error:
            raise problem_of(error) from error

    def call(self, command: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the client."""
        try:
            return getattr(self.client, command)(*arguments, **options)
        except redis.RedisError as error:
            raise problem_of(error) from error

    def pipeline(self, commands: Sequence[tuple[Any, ...]], together: bool = False) -> list[Any]:
        """Run several commands, each a name and arguments, in one round trip; `together` makes them a transaction."""
        pipeline = self.client.pipeline(transaction=together)
        for command in commands:
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
        try:
            return pipeline.execute()
        except redis.RedisError as error:
            raise problem_of(error) from error

    def past(self, key: str, limit: int) -> list[str]:
        """Members of a sorted set whose time has passed."""
        return [member.decode() for member in self.call("zrangebyscore", key, "-inf", self.now_ms(), 0, limit)]

    def now_ms(self) -> int:
        """The time on Redis' clock."""
        seconds, microseconds = self.call("time")
        return int(seconds) * 1000 + int(microseconds) // 1000

    def now(self) -> datetime:
        """The same as a datetime."""
        return time_of(self.now_ms())

    def check(self, durable: bool) -> None:
        """Ping Redis; raises `RedisUnsafe` if it must be `durable` and isn't."""
        try:
            self.client.ping()
            if durable:
                require_durable(self.client)
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not respond: {error}") from error


def arguments_of(args: Mapping[str, Any] | None, fields: Mapping[str, Any] | None = None) -> list[Any]:
    """A script's arguments as the prelude takes them apart."""
    given = {argument: value for argument, value in (args or {}).items() if value is not None}
    return [json.dumps(given), *flatten(fields or {})]


def problem_of(error: redis.RedisError) -> QueueUnavailable:
    """`QueueRefused` if the command itself is wrong, `QueueUnavailable` if Redis can't run it now."""
    code = CODE.search(str(error))
    # The client has its own classes for most errors that concern Redis itself, and omits the code ERR.
    if type(error) is redis.ResponseError and (code is None or code[1] in FAULTS):
        return QueueRefused(f"Redis refuses: {error}")
    return QueueUnavailable(f"Redis does not respond: {error}")


def held_by(job: Job) -> dict[str, Any]:
    """Arguments of `lua/held.lua`: the attempt that should still hold its job."""
    return {"attempt": str(job.attempt), "held": dict.fromkeys(HELD, True)}


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def time_of(unix_ms: float) -> datetime:
    """A time on Redis' clock, in milliseconds, as a datetime."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def entry_time(entry_id: str) -> datetime:
    """When an entry was appended to a stream; its ID begins with the time in milliseconds."""
    return time_of(int(entry_id.partition("-")[0]))


def flatten(fields: Mapping[str, Any]) -> list[Any]:
    """A hash as a list: field, value, field, value, …"""
    return [item for pair in fields.items() for item in pair]
