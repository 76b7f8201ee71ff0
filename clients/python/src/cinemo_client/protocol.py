"""The client's protocol without I/O: what to send, when to retry, when to stop.

Each exchange is a generator. It yields a request, and receives the response or the transport's exception; or it yields
a pause, and is resumed when that is over. `sync.py` and `aio.py` drive the same generators.
"""

import random
import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from cinemo_client.errors import (
    CinemoError,
    Conflict,
    NotFound,
    RequestInvalid,
    ResponseUnreadable,
    TooManyRequests,
    Unavailable,
    WaitTimedOut,
    error_of,
    retry_after,
)
from cinemo_client.models import Job, JobList, JobStatus

T = TypeVar("T")

ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED})
"""The states that a job never leaves."""

MAX_POLL_SECONDS = 50
"""Below the 60 that the service allows, as most load balancers and proxies time out after a minute."""
MAX_PAUSE_SECONDS = 60.0
"""If the service asks for a longer pause, the call raises an error instead of waiting."""
MAX_SEGMENT_LENGTH = 1000
"""Characters in one segment of a path: more than any name has."""
DEFAULT_PAUSE_SECONDS = 1.0
"""Between two polls of a job, unless the service's `Retry-After` says otherwise."""


@dataclass(frozen=True)
class Pause:
    """A step: wait this long before the next request."""

    seconds: float


Steps = Generator[httpx.Request | Pause, httpx.Response | None, T]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One operation of the API: what to send, and how to parse the response."""

    method: str
    path: str
    parse: Callable[[bytes], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    """`json`, or `data` and `files`, as httpx takes them."""
    wait_seconds: float = 0
    """How long the service may take in addition to the usual timeout."""


@dataclass(frozen=True)
class Connection:
    """The service's URL, the caller's key, the timeout in seconds and the number of retries."""

    url: str
    api_key: str | None = None
    timeout: float = 30.0
    retries: int = 4

    def __post_init__(self) -> None:
        """Raise `ValueError` if the URL is not one of a service."""
        if not re.match("https?://[^/]", self.url.strip(), re.IGNORECASE):
            raise ValueError(f"{self.url!r} is not the URL of a service, such as https://cinemo.example.com")

    def request(self, call: Call[Any]) -> httpx.Request:
        """The request of a call. Only these carry the key; downloads, whose URLs may be elsewhere, don't.

        Raises:
            RequestInvalid: the key or another header can't be sent.
        """
        headers = {"User-Agent": "cinemo-client", "Accept": "application/json", **call.headers}
        # A key that was read from a file ends with a line break.
        if key := (self.api_key or "").strip():
            headers["Authorization"] = f"Bearer {key}"
        for name, value in headers.items():
            if not (value.isascii() and value.isprintable()):
                raise RequestInvalid(f"{name} has characters that can't be sent", code="CLIENT.HEADER_INVALID")
        timeout = httpx.Timeout(self.timeout, read=self.timeout + call.wait_seconds)
        return httpx.Request(
            call.method,
            self.url.strip().rstrip("/") + call.path,
            params=call.query or None,
            headers=headers,
            extensions={"timeout": timeout.as_dict()},
            **call.body,
        )


class Backoff:
    """Counts consecutive failures and computes the pause after each."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._failures = 0

    def reset(self) -> None:
        """Forget earlier failures, after a success."""
        self._failures = 0

    def pause_after(self, error: CinemoError) -> float:
        """Seconds to pause; raises the error if it shouldn't be retried or no retries are left."""
        self._failures += 1
        minimum = error.retry_after or 0.0
        if self._failures > self._retries or minimum > MAX_PAUSE_SECONDS or not should_retry(error):
            raise error
        # Full jitter: clients that failed together don't all retry at once.
        return minimum + random.uniform(0, min(0.25 * 2**self._failures, 10))


def should_retry(error: CinemoError) -> bool:
    """Whether to retry. A failure of the caller's own URL is retryable too, but left to the caller."""
    return error.retryable and isinstance(error, TooManyRequests | Unavailable | Conflict)


def unreachable(error: httpx.TransportError) -> Unavailable:
    """The error for a connection that could not be established or was lost."""
    return Unavailable(
        f"the service is unreachable: {error or type(error).__name__}", code="CLIENT.UNREACHABLE", retryable=True
    )


def exchange(call: Call[T], connection: Connection) -> Steps[T]:
    """Make a call; returns its parsed response."""
    response = yield from send_with_retries(call, connection)
    return parse(call, response)


def parse(call: Call[T], response: httpx.Response) -> T:
    """Parse a call's response; raises `ResponseUnreadable` if this client can't."""
    try:
        return call.parse(response.content)
    except ValidationError as error:
        raise ResponseUnreadable(
            f"can't parse the response to {call.method} {call.path}; is the service newer than this client? {error}",
            code="CLIENT.RESPONSE_UNREADABLE",
            request_id=response.headers.get("x-request-id"),
        ) from error


def send_with_retries(call: Call[Any], connection: Connection) -> Steps[httpx.Response]:
    """Send a call until it succeeds. All calls can be retried; those that create jobs have an idempotency key."""
    backoff = Backoff(connection.retries)
    while True:
        try:
            response = yield connection.request(call)
        except httpx.TransportError as cause:
            error: CinemoError = unreachable(cause)
            error.__cause__ = cause
        else:
            assert response is not None
            if response.is_success:
                return response
            error = error_of(response)
        yield Pause(backoff.pause_after(error))


def until_ended(get: Callable[[int | None], Call[Job]], connection: Connection, timeout: float | None) -> Steps[Job]:
    """Long-poll a job until it has ended. A service that shuts down responds at once, with a pause to make.

    Raises:
        WaitTimedOut: it has not ended within `timeout` seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = MAX_POLL_SECONDS if deadline is None else deadline - time.monotonic()
        call = get(max(1, min(round(left), MAX_POLL_SECONDS)) if left > 0 else None)
        response = yield from send_with_retries(call, connection)
        job, pause = parse(call, response), pause_after(response)
        if job.status in ENDED:
            return job
        if deadline is None:
            yield pause
            continue
        left = deadline - time.monotonic()
        if left <= 0:
            raise WaitTimedOut(job)
        yield Pause(min(pause.seconds, left))


def pause_after(response: httpx.Response) -> Pause:
    """The pause that a response asks for before the next request."""
    seconds = retry_after(response)
    return Pause(DEFAULT_PAUSE_SECONDS if seconds is None else min(seconds, MAX_PAUSE_SECONDS))


@dataclass
class Pages:
    """Fetches a list page by page."""

    list_jobs: Callable[[str | None], Call[JobList]]
    connection: Connection
    cursor: str | None = None
    ended: bool = False

    def next(self) -> Steps[JobList]:
        """The next page."""
        page = yield from exchange(self.list_jobs(self.cursor), self.connection)
        self.cursor, self.ended = page.next_cursor, page.next_cursor is None
        return page


def segment(name: str) -> str:
    """A name as a segment of a path.

    Raises:
        NotFound: nothing can have this name, because it would lead to another path or can't be sent.
    """
    try:
        path = quote(name, safe="")
    except UnicodeEncodeError:
        path = ""
    if path in ("", ".", "..") or len(path) > MAX_SEGMENT_LENGTH:
        raise NotFound(f"there is nothing named {name[:40]!r}", code="CLIENT.NAME_IMPOSSIBLE")
    return path
