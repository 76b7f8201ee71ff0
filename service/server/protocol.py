"""uvicorn's HTTP/1.1 with limits on the size and time of a request's head and on the time of a stalled response.

These apply before there is a request; rejections are problems all the same.
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
from service.server.connections import Connections

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that are served whatever the number of connections."""
MAX_PIPELINED = 16
"""Requests sent before the first of them is answered."""
FRAMING_FACTOR = 16
"""A body's framing, such as chunk sizes and trailers, may be as large as a head plus this many times the body."""
LINGER_SECONDS = 1
LINGER_BYTES = 256 * 1024
"""How long, and for how many bytes, a rejected client may keep sending: if the connection were closed immediately, it
would get a connection error instead of the response."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits on each connection."""

    head_bytes: int
    head_fields: int
    head_seconds: float
    unread_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> "ConnectionLimits":
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
        limits: ConnectionLimits,
        connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits, self._all = limits, connections
        self._in_head = self._in_message = self._rejected = False
        self._head_bytes = self._received_bytes = self._body_bytes = self._discarded_bytes = 0
        self._parser_problem: Problem | None = None
        self._delayed_problem: Problem | None = None
        self._running: Any = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    # Called by the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._all.add(self):
            self._start_read_timer()
        else:
            self.connections.discard(self)
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.remove(self)
        self._cancel_timers()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        if self._rejected or self._delayed_problem:
            self._discard(len(data))
            return
        if self._read_timer is None and not self._in_message and not self._answering:
            self._start_read_timer()
        self._received_bytes += len(data)
        super().data_received(data)
        framing_bytes = self._received_bytes - self._body_bytes
        if self._in_message and framing_bytes > self._limits.head_bytes + FRAMING_FACTOR * self._body_bytes:
            self.reject(self._head_too_large())

    def pause_writing(self) -> None:
        super().pause_writing()
        self._all.stall(self, self.transport.get_write_buffer_size())
        self._start_write_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
            self._all.move(self, self._all.busy if self._answering else self._all.idle)

    # Called by the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._in_message = True
        # The data received with the start of the message is not counted, since it may belong to the previous request.
        self._head_bytes = self._received_bytes = self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Ignores trailers: the request's headers have been checked by then.
        if self._in_head:
            self._count(len(name) + len(value) + 4)
            super().on_header(name, value)
            if len(self.headers) > self._limits.head_fields:
                raise self._remember(self._head_too_large())

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._cancel_read_timer()
        if len(self.pipeline) >= MAX_PIPELINED:
            raise self._remember(RequestMalformed(f"more than {MAX_PIPELINED} requests were sent before a response"))
        self._all.move(self, self._all.busy)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    # Called for a request

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self._all.full and cycle.scope["path"] not in PROBES:
            self.reject(too_many_connections())
            return
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        if not self.flow.write_paused:
            self._all.move(self, self._all.busy if self.pipeline else self._all.idle)
        super().on_response_complete()
        if self._delayed_problem and not self._answering:
            self.reject(self._delayed_problem)
            return
        if self.transport.get_write_buffer_size():
            self._start_write_timer()
        if self._in_message and not self._answering:
            # The application has responded without reading the whole request, so limit the time for the rest here.
            self._start_read_timer()

    def send_400_response(self, msg: str) -> None:
        """Respond when the parser, or one of the methods above, has rejected the request."""
        self.reject(self._parser_problem or RequestMalformed("this is not an HTTP/1.1 request"))

    @property
    def _answering(self) -> bool:
        """Whether a request is being processed."""
        return self._running is not None and not self._running.response_complete

    @property
    def _receiving_running(self) -> bool:
        """Whether incoming data belongs to the request being processed, not to one pipelined behind it."""
        return self._in_message and not self._in_head and self.cycle is self._running

    def reject(self, problem: Problem, linger_seconds: float = LINGER_SECONDS) -> None:
        """Send a problem, unless a response has started, and close; waits for responses to earlier requests."""
        if self._rejected or self.transport.is_closing():
            return
        if linger_seconds and self._answering and not self._receiving_running:
            self._delayed_problem = problem
            self.flow.pause_reading()
            return
        self._rejected = True
        self._cancel_timers()
        self._unset_keepalive_if_required()
        response_started = self._answering and self._running.response_started
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        HTTP_REQUESTS.labels("refused", "other", f"{problem.status // 100}xx").observe(0)
        if not response_started:
            self.transport.write(problem_response(problem, self.server_state.default_headers))
        if response_started or not linger_seconds:
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write_eof()
        self._read_timer = self.loop.call_later(linger_seconds, self.transport.abort)

    def evict(self) -> None:
        """Close to make way for another connection, with a response if a request has been sent in part."""
        if self._in_head and not self._answering:
            self.reject(too_many_connections(), linger_seconds=0)
        else:
            self._cancel_timers()
            self.transport.abort()

    def _discard(self, size: int) -> None:
        if self._rejected:
            self._discarded_bytes += size
        if self._discarded_bytes > LINGER_BYTES:
            self.transport.abort()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._in_head and self._head_bytes > self._limits.head_bytes:
            raise self._remember(self._head_too_large())

    def _remember(self, problem: Problem) -> Problem:
        """Keep a problem to raise through the parser, which calls `send_400_response` without it."""
        self._parser_problem = problem
        return problem

    def _head_too_large(self) -> HeadTooLarge:
        limits = self._limits
        return HeadTooLarge(f"a head may have at most {limits.head_bytes:,} bytes and {limits.head_fields} headers")

    # Timers

    def _start_read_timer(self) -> None:
        self._cancel_read_timer()
        self._read_timer = self.loop.call_later(self._limits.head_seconds, self._read_timed_out)

    def _read_timed_out(self) -> None:
        self._read_timer = None
        if self._in_head:
            self.reject(HeadTooSlow(f"the request's head took more than {self._limits.head_seconds:g} seconds"))
        else:
            self.transport.close()

    def _start_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
        self._write_timer = self.loop.call_later(self._limits.unread_seconds, self._write_timed_out)

    def _write_timed_out(self) -> None:
        self._write_timer = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _cancel_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _cancel_timers(self) -> None:
        self._cancel_read_timer()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def too_many_connections() -> ServiceBusy:
    return ServiceBusy("this process has reached its limit of open connections; try again")


def problem_response(problem: Problem, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """A complete response, after which the connection closes."""
    request_id = uuid.uuid4().hex
    body = json.dumps(problem.body(request_id), ensure_ascii=False).encode()
    headers = {
        **{name.decode("latin-1"): value.decode("latin-1") for name, value in default_headers},
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
