"""Streamed responses, events and downloads, without network I/O: `sync.py` and `aio.py` send the requests."""

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
from cinemo_client.protocol import ENDED, Backoff, Connection, Steps, parse, pause_after, send_with_retries

T_co = TypeVar("T_co", covariant=True)

FINAL_EVENTS = frozenset(f"job.{status}" for status in ENDED)


class Stream(Protocol[T_co]):
    """A response that a transport reads in chunks, resuming it over new connections."""

    @property
    def done(self) -> bool: ...

    def request(self) -> httpx.Request:
        """The request to send, initially and after each interruption."""

    def feed(self, chunk: bytes) -> Iterable[T_co]:
        """Process a chunk of the body; returns the items that it completes."""

    def closed(self) -> Steps[None] | None:
        """Called when the response ended normally; returns steps to take before the next request."""

    def failed(self, error: CinemoError) -> float:
        """Called on an error; returns the seconds to pause before the retry, or raises the error instead."""


class EventStream:
    """A job's events, each once, over as many connections as needed: each resumes after the last event received."""

    def __init__(self, job_id: str, after: str | None, connection: Connection) -> None:
        self._job_id = job_id
        self._last = after
        self._connection = connection
        self._backoff = Backoff(connection.retries)
        self._parser = EventParser()
        self._received_any = False
        self._job_ended = False
        self.done = False

    def request(self) -> httpx.Request:
        self._parser, self._received_any = EventParser(), False
        return self._connection.request(calls.stream_events(self._job_id, self._last))

    def feed(self, chunk: bytes) -> Iterator[Event]:
        for event in self._parser.feed(chunk):
            self._backoff.reset()
            self._last, self._received_any = event.id, True
            self.done = event.type in FINAL_EVENTS
            yield event

    def closed(self) -> Steps[None] | None:
        # If the job had already ended when this connection was made, and it brought no events, there are none left.
        self.done = self.done or (self._job_ended and not self._received_any)
        return None if self.done or self._received_any else self._check_job()

    def _check_job(self) -> Steps[None]:
        # A normal end doesn't mean that the job has ended: proxies and a service that shuts down also close streams.
        call = calls.get_job(self._job_id)
        response = yield from send_with_retries(call, self._connection)
        self._job_ended = parse(call, response).status in ENDED
        if not self._job_ended:
            yield pause_after(response)

    def failed(self, error: CinemoError) -> float:
        return self._backoff.pause_after(error)


class EventParser:
    """Parses server-sent events (HTML standard, 9.2.6); ignores comments and unknown fields."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._incomplete_line = ""
        self._fields: dict[str, str] = {}

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that this chunk completes."""
        *lines, self._incomplete_line = (self._incomplete_line + self._decode(chunk)).split("\n")
        for line in lines:
            name, _, value = line.rstrip("\r").partition(":")
            if name:
                self._fields[name] = value.removeprefix(" ")
            elif not line.startswith(":") and "data" in self._fields:
                yield parse_event(self._fields)
                self._fields = {}


def parse_event(fields: dict[str, str]) -> Event:
    data = json.loads(fields["data"])
    at = data.pop("at")
    return Event.model_validate({"id": fields["id"], "type": fields["event"], "at": at, "data": data})


class Download:
    """A file being downloaded, which appears under its name once it is complete and its checksum is right."""

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

    def feed(self, chunk: bytes) -> Iterable[None]:
        self._digest.update(chunk)
        with self._partial.open("ab") as partial:
            partial.write(chunk)
        return ()

    def closed(self) -> None:
        if self._digest.hexdigest() != self._file.sha256:
            self._partial.unlink()
            raise DownloadCorrupt(f"{self._path.name} doesn't match the job's SHA-256")
        self._partial.replace(self._path)
        self.done = True

    def failed(self, error: CinemoError) -> float:
        try:
            return self._backoff.pause_after(error)
        except CinemoError:
            self._partial.unlink(missing_ok=True)
            raise
