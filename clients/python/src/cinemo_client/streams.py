"""Answers that are read piece by piece, events and files, without doing any input or output but to the local disk."""

import codecs
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import httpx

from cinemo_client import calls
from cinemo_client.errors import CinemoError, DownloadCorrupt
from cinemo_client.models import Event, File, Video
from cinemo_client.protocol import ENDED, Backoff, Connection, Steps, answered, pause_after, read

T_co = TypeVar("T_co", covariant=True)

FINAL_EVENTS = frozenset(f"job.{status}" for status in ENDED)


class Stream(Protocol[T_co]):
    """What a transport needs to know of an answer that it reads piece by piece."""

    @property
    def done(self) -> bool: ...

    def request(self) -> httpx.Request:
        """What to send, at first and after each break."""

    def feed(self, piece: bytes) -> Iterable[T_co]:
        """Take a piece of the body; returns what it brings."""

    def closed(self) -> Steps[None] | None:
        """The answer has ended in good order; returns what is to be done before the next."""

    def failed(self, error: CinemoError) -> float:
        """Seconds after which to go on; raises the error where that makes no sense."""


class Listening:
    """The events of a job, each once, over however many connections; goes on after the last one that was seen."""

    def __init__(self, job_id: str, after: str | None, connection: Connection) -> None:
        self._job_id = job_id
        self._last = after
        self._connection = connection
        self._backoff = Backoff(connection.retries)
        self._parser = EventParser()
        self._heard = False
        self._over = False
        self.done = False

    def request(self) -> httpx.Request:
        self._parser, self._heard = EventParser(), False
        return self._connection.request(calls.listen(self._job_id, self._last))

    def feed(self, piece: bytes) -> Iterator[Event]:
        for event in self._parser.feed(piece):
            self._backoff.reset()
            self._last, self._heard = event.id, True
            self.done = event.type in FINAL_EVENTS
            yield event

    def closed(self) -> Steps[None] | None:
        # A job whose end was known before is one of which nothing more was to be heard.
        self.done = self.done or (self._over and not self._heard)
        return None if self.done or self._heard else self._look()

    def _look(self) -> Steps[None]:
        # Proxies end an answer early and in good order, too, and so does a service that is about to stop.
        call = calls.get_job(self._job_id)
        response = yield from answered(call, self._connection)
        self._over = read(call, response).status in ENDED
        if not self._over:
            yield pause_after(response)

    def failed(self, error: CinemoError) -> float:
        return self._backoff.pause_after(error)


class EventParser:
    """Server-sent events out of bytes (HTML standard, 9.2.6), of which comments and unknown fields are passed over."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._rest = ""
        self._fields: dict[str, str] = {}

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that are whole with this piece."""
        *lines, self._rest = (self._rest + self._decode(piece)).split("\n")
        for line in lines:
            name, _, value = line.rstrip("\r").partition(":")
            if name:
                self._fields[name] = value.removeprefix(" ")
            elif not line.startswith(":") and "data" in self._fields:
                yield read_event(self._fields)
                self._fields = {}


def read_event(fields: dict[str, str]) -> Event:
    data = json.loads(fields["data"])
    at = data.pop("at")
    return Event.model_validate({"id": fields["id"], "type": fields["event"], "at": at, "data": data})


class Saving:
    """A file on its way to the disk, where it appears under its name once it is whole and what the job describes."""

    def __init__(self, file: File | Video, path: Path, connection: Connection) -> None:
        self._file = file
        self._path = path
        self._partial = path.with_name(path.name + ".part")
        self._connection = connection
        self._backoff = Backoff(connection.retries)
        self._digest = hashlib.sha256()
        self.done = False

    def request(self) -> httpx.Request:
        self._digest = hashlib.sha256()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._partial.write_bytes(b"")
        timeout = httpx.Timeout(self._connection.timeout).as_dict()
        return httpx.Request("GET", self._file.url, extensions={"timeout": timeout})

    def feed(self, piece: bytes) -> Iterable[None]:
        self._digest.update(piece)
        with self._partial.open("ab") as partial:
            partial.write(piece)
        return ()

    def closed(self) -> None:
        if self._digest.hexdigest() != self._file.sha256:
            self._partial.unlink()
            raise DownloadCorrupt(f"{self._path.name} is not what the job describes: its SHA-256 differs")
        self._partial.replace(self._path)
        self.done = True

    def failed(self, error: CinemoError) -> float:
        try:
            return self._backoff.pause_after(error)
        except CinemoError:
            self._partial.unlink(missing_ok=True)
            raise
