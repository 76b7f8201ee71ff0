"""HTTP/1.1 as uvicorn speaks it, held to bounds: of a request's head, of the time it takes, and of what is not taken.

What is refused here is refused before there is a request; it is answered as a problem all the same.
"""

import asyncio
import json
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service.contract.problems import (
    PROBLEM_TYPE,
    HeadTooLarge,
    HeadTooSlow,
    Problem,
    RequestMalformed,
    ServiceBusy,
)
from service.contract.settings import Settings
from service.observability.metrics import HTTP_REQUESTS
from service.server.crowd import Crowd

FREQUENT = frozenset({"/healthz", "/readyz", "/metrics"})
"""What is answered however full it is."""
MOST_PIPELINED = 16
"""Requests that are sent before the first of them is answered."""
FRAMING_FACTOR = 16
"""What stands around a body, as sizes of chunks and trailers, may be so many times as long as it, and a head more."""
LINGER_SECONDS = 1
LINGER_BYTES = 256 * 1024
"""A client that is refused while it sends may go on for so long: else it would see a broken connection, no answer."""


@dataclass(frozen=True)
class Bounds:
    """What a connection is held to."""

    head_bytes: int
    head_fields: int
    head_seconds: float
    unread_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        return cls(
            settings.max_head_bytes, settings.max_head_fields, settings.max_head_seconds, settings.max_unread_seconds
        )


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
        crowd: Crowd,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds, self._crowd = bounds, crowd
        self._in_head = self._in_message = self._refused = False
        self._head_bytes = self._came_bytes = self._body_bytes = self._ignored_bytes = 0
        self._problem: Problem | None = None
        self._due: Problem | None = None
        self._running: Any = None
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    # Of the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._crowd.enter(self):
            self._expect_more()
        else:
            self.connections.discard(self)
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.remove(self)
        self._stop_waiting()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        if self._refused or self._due:
            self._ignore(len(data))
            return
        if self._reading is None and not self._in_message and not self._answering:
            self._expect_more()
        self._came_bytes += len(data)
        super().data_received(data)
        framing_bytes = self._came_bytes - self._body_bytes
        if self._in_message and framing_bytes > self._bounds.head_bytes + FRAMING_FACTOR * self._body_bytes:
            self.refuse(self._head_too_large())

    def pause_writing(self) -> None:
        super().pause_writing()
        self._crowd.move(self, self._crowd.stalled)
        self._expect_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
            self._crowd.move(self, self._crowd.busy if self._answering else self._crowd.idle)

    # Of the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._in_message = True
        # Of what came with the beginning nothing is counted, as some of it may be of the request before.
        self._head_bytes = self._came_bytes = self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # What comes after a body is no header of the request, whose headers have been judged by then.
        if self._in_head:
            self._count(len(name) + len(value) + 4)
            super().on_header(name, value)
            if len(self.headers) > self._bounds.head_fields:
                raise self._fail(self._head_too_large())

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_reading()
        if len(self.pipeline) >= MOST_PIPELINED:
            raise self._fail(RequestMalformed(f"more than {MOST_PIPELINED} requests were sent before an answer"))
        self._crowd.move(self, self._crowd.busy)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    # Of the request

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self._crowd.full and cycle.scope["path"] not in FREQUENT:
            self.refuse(crowded())
            return
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._crowd.move(self, self._crowd.busy if self.pipeline else self._crowd.idle)
        super().on_response_complete()
        if self._due and not self._answering:
            self.refuse(self._due)
            return
        if self.transport.get_write_buffer_size():
            self._expect_reader()
        if self._in_message and not self._answering:
            # The answer has come before the end of the request, for which nobody waits but we.
            self._expect_more()

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser, or one of the methods above, has refused."""
        self.refuse(self._problem or RequestMalformed("this is no request of HTTP/1.1"))

    @property
    def _answering(self) -> bool:
        """Whether a request is being carried out."""
        return self._running is not None and not self._running.response_complete

    @property
    def _reading_what_runs(self) -> bool:
        """Whether what comes belongs to the request that is being carried out, and not to one sent behind it."""
        return self._in_message and not self._in_head and self.cycle is self._running

    def refuse(self, problem: Problem, linger_seconds: float = LINGER_SECONDS) -> None:
        """Answer with a problem, if no answer has begun, and hang up; after the answers to the requests before it."""
        if self._refused or self.transport.is_closing():
            return
        if linger_seconds and self._answering and not self._reading_what_runs:
            self._due = problem
            self.flow.pause_reading()
            return
        self._refused = True
        self._stop_waiting()
        self._unset_keepalive_if_required()
        under_way = self._answering and self._running.response_started
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        HTTP_REQUESTS.labels("refused", "other", f"{problem.status // 100}xx").observe(0)
        if not under_way:
            self.transport.write(refusal(problem, self.server_state.default_headers))
        if under_way or not linger_seconds:
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write_eof()
        self._reading = self.loop.call_later(linger_seconds, self.transport.abort)

    def leave(self) -> None:
        """Hang up, as another needs the place; that is told where something has been sent."""
        if self._in_head and not self._answering:
            self.refuse(crowded(), linger_seconds=0)
        else:
            self._stop_waiting()
            self.transport.abort()

    def _ignore(self, size: int) -> None:
        if self._refused:
            self._ignored_bytes += size
        if self._ignored_bytes > LINGER_BYTES:
            self.transport.abort()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._in_head and self._head_bytes > self._bounds.head_bytes:
            raise self._fail(self._head_too_large())

    def _fail(self, problem: Problem) -> Problem:
        """Remember a problem, to be raised through the parser, which tells `send_400_response` that there is one."""
        self._problem = problem
        return problem

    def _head_too_large(self) -> HeadTooLarge:
        bounds = self._bounds
        return HeadTooLarge(f"at most {bounds.head_bytes:,} bytes and {bounds.head_fields} headers are read")

    # Of time

    def _expect_more(self) -> None:
        self._stop_reading()
        self._reading = self.loop.call_later(self._bounds.head_seconds, self._waited_in_vain)

    def _waited_in_vain(self) -> None:
        self._reading = None
        if self._in_head:
            self.refuse(
                HeadTooSlow(f"the head of the request did not come within {self._bounds.head_seconds:g} seconds")
            )
        else:
            self.transport.close()

    def _expect_reader(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
        self._writing = self.loop.call_later(self._bounds.unread_seconds, self._offered_in_vain)

    def _offered_in_vain(self) -> None:
        self._writing = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _stop_waiting(self) -> None:
        self._stop_reading()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None


def crowded() -> ServiceBusy:
    return ServiceBusy("as many connections as this process may have are open; ask again")


def refusal(problem: Problem, own_headers: list[tuple[bytes, bytes]]) -> bytes:
    """A whole answer, after which the connection is closed."""
    request_id = uuid.uuid4().hex
    body = json.dumps(problem.body(request_id), ensure_ascii=False).encode()
    headers = {
        **{name.decode("latin-1"): value.decode("latin-1") for name, value in own_headers},
        "content-type": PROBLEM_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
        "x-content-type-options": "nosniff",
        "x-request-id": request_id,
    }
    if problem.status == 503:
        headers["retry-after"] = "5"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    status = HTTPStatus(problem.status)
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{lines}\r\n".encode("latin-1") + body
