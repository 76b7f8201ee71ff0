"""Commands and Lua scripts in Redis, whatever they are for.

A script is a file in `lua/` whose head declares what it gets, each in one line:

    -- uses: clock usage          files of functions that are put before it
    -- keys: job queue rest...    its keys, which it reads as `keys.job`; the last one with dots is a list

It reads what else it is asked as `ask`, and the fields and values of a hash as the list `fields`.
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
from service.store.connections import require_durable

DECLARED = re.compile(r"^-- (uses|keys): (.+)$", re.MULTILINE)
LIST = "..."

CODE = re.compile(r"(?:^|-|error: )([A-Z]{3,}) ")
"""What an answer begins with; that of a command in a script or a pipeline may stand within the whole one's."""
FAULTS = ("ERR", "WRONGTYPE")
"""Codes of answers to what is wrong in itself. All others tell of Redis: no memory, no disk, no primary."""

Keys = Mapping[str, str | Sequence[str]]
"""Of a script, by the names that it declares."""


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
        """What gives the script its keys, what it is asked, and fields, by their names."""
        named = [
            f"{name.removesuffix(LIST)} = "
            + (f"{{unpack(KEYS, {place})}}" if name.endswith(LIST) else f"KEYS[{place}]")
            for place, name in enumerate(self.keys, 1)
        ]
        return f"local keys = {{{', '.join(named)}}}\nlocal ask, fields = cjson.decode(ARGV[1]), {{unpack(ARGV, 2)}}\n"

    def in_order(self, keys: Keys) -> list[str]:
        """Keys as Redis takes them.

        Raises:
            ValueError: they are not those that the script declares.
        """
        names = [name.removesuffix(LIST) for name in self.keys]
        if sorted(names) != sorted(keys):
            raise ValueError(f"the script declares the keys {names}, and is given {list(keys)}")
        listed = [keys[name] for name in names]
        return [each for given in listed for each in ((given,) if isinstance(given, str) else given)]


FOLDER = resources.files("service.store").joinpath("lua")
FILES = {
    path.name.removesuffix(".lua"): Script.read(path.read_text())
    for path in FOLDER.iterdir()
    if path.name.endswith(".lua")
}
SCRIPTS = {name: script for name, script in FILES.items() if script.keys}
"""By their names; the other files are of functions."""


def text_of(script: Script) -> str:
    """What Redis runs: the functions that a script uses, the names of what it gets, and the script."""
    return "".join(FILES[name].body for name in script.uses) + script.prelude + script.body


class RedisScripts:
    """A client with the scripts, which stores work by. Every method raises `QueueUnavailable` where Redis is silent."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self._scripts = {name: client.register_script(text_of(script)) for name, script in SCRIPTS.items()}

    def run(
        self, name: str, keys: Keys, ask: Mapping[str, Any] | None = None, fields: Mapping[str, Any] | None = None
    ) -> Any:
        """What a script returns; what is None is left out, as a null would be true there.

        Raises:
            ValueError: it declares other keys.
        """
        asked = {member: value for member, value in (ask or {}).items() if value is not None}
        arguments = [json.dumps(asked), *flatten(fields or {})]
        try:
            return self._scripts[name](keys=SCRIPTS[name].in_order(keys), args=arguments)
        except redis.RedisError as error:
            raise problem_of(error) from error

    def call(self, command: str, *arguments: Any, **options: Any) -> Any:
        """What a method of the client returns."""
        try:
            return getattr(self.client, command)(*arguments, **options)
        except redis.RedisError as error:
            raise problem_of(error) from error

    def pipeline(self, commands: Sequence[tuple[Any, ...]], together: bool = False) -> list[Any]:
        """The answers of several commands, each a name and arguments, in one round trip; `together`, all or none."""
        pipeline = self.client.pipeline(transaction=together)
        for command in commands:
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
        try:
            return pipeline.execute()
        except redis.RedisError as error:
            raise problem_of(error) from error

    def past(self, key: str, limit: int) -> list[str]:
        """Members of a sorted set whose time has come."""
        return [member.decode() for member in self.call("zrangebyscore", key, "-inf", self.now_ms(), 0, limit)]

    def now_ms(self) -> int:
        """The time on Redis' own clock."""
        seconds, microseconds = self.call("time")
        return int(seconds) * 1000 + int(microseconds) // 1000

    def now(self) -> datetime:
        """The same as a moment."""
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)

    def check(self, durable: bool) -> None:
        """Raise also `RedisUnsafe` where it must be `durable` and would lose what it is told."""
        try:
            self.client.ping()
            if durable:
                require_durable(self.client)
        except redis.RedisError as error:
            raise QueueUnavailable(f"Redis does not answer: {error}") from error


def problem_of(error: redis.RedisError) -> QueueUnavailable:
    """Whether Redis cannot serve now, or was asked for what it never will."""
    code = CODE.search(str(error))
    # The client has classes of their own for most of what tells of Redis itself, and leaves out ERR.
    if type(error) is redis.ResponseError and (code is None or code[1] in FAULTS):
        return QueueRefused(f"Redis refuses: {error}")
    return QueueUnavailable(f"Redis does not answer: {error}")


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def flatten(fields: Mapping[str, Any]) -> list[Any]:
    """A hash as commands take it: field, value, field, value, …"""
    return [item for pair in fields.items() for item in pair]
