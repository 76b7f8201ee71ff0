"""How calls are carried out, without doing any input or output: what to send, when to try again, when to stop.

Each exchange is a generator. It yields a request, and is sent the response or thrown the transport's error; or it
yields a pause, and is sent nothing once that is over. `sync.py` and `aio.py` drive the same generators.
"""

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from cinemo_client.errors import (
    AnswerUnreadable,
    CinemoError,
    Conflict,
    NotFound,
    TooMany,
    Unavailable,
    WaitTimedOut,
    error_of,
    retry_after,
)
from cinemo_client.models import Job, JobList, JobStatus

T = TypeVar("T")

ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED})
"""The states that a job stays in."""

LONGEST_POLL_SECONDS = 50
"""Less than the sixty that the service allows: load balancers and proxies, as a rule, hang up after a minute."""
LONGEST_PAUSE_SECONDS = 60.0
"""If the service asks for a longer pause, the call raises an error instead of waiting."""
LONGEST_SEGMENT = 1000
"""Of a path, in characters: more than any name has."""
DEFAULT_PAUSE_SECONDS = 1.0
"""Between two looks at a job, unless the service asks for another time."""


@dataclass(frozen=True)
class Pause:
    """Wait for that many seconds."""

    seconds: float


Steps = Generator[httpx.Request | Pause, httpx.Response | None, T]


@dataclass(frozen=True)
class Call(Generic[T]):
    """One operation of the API: what to send, and how to read the answer."""

    method: str
    path: str
    read: Callable[[bytes], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    """`json`, or `data` and `files`, as httpx takes them."""
    wait_seconds: float = 0
    """How long the service may take beyond the usual."""


@dataclass(frozen=True)
class Connection:
    """Where the service is, who calls, and with how much patience; times in seconds."""

    url: str
    api_key: str | None = None
    timeout: float = 30.0
    retries: int = 4

    def request(self, call: Call[Any]) -> httpx.Request:
        """The request of a call; the key is only sent to the service, never to a download URL."""
        headers = {"User-Agent": "cinemo-client", "Accept": "application/json", **call.headers}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        timeout = httpx.Timeout(self.timeout, read=self.timeout + call.wait_seconds)
        return httpx.Request(
            call.method,
            self.url.rstrip("/") + call.path,
            params=call.query or None,
            headers=headers,
            extensions={"timeout": timeout.as_dict()},
            **call.body,
        )


class Backoff:
    """Counts failures in a row, and says how long to pause after each."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._failures = 0

    def reset(self) -> None:
        """Something worked."""
        self._failures = 0

    def pause_after(self, error: CinemoError) -> float:
        """Seconds to pause; raises the error where another try is not worth it, or the last one was this."""
        self._failures += 1
        least = error.retry_after or 0.0
        if self._failures > self._retries or least > LONGEST_PAUSE_SECONDS or not worth_a_retry(error):
            raise error
        # Full jitter: clients that failed together come back apart.
        return least + random.uniform(0, min(0.25 * 2**self._failures, 10))


def worth_a_retry(error: CinemoError) -> bool:
    """Whether the service itself may be able to soon; a URL of the caller that does not answer is the caller's."""
    return error.retryable and isinstance(error, TooMany | Unavailable | Conflict)


def unreachable(error: httpx.TransportError) -> Unavailable:
    """The error of a connection that did not come about, or broke."""
    return Unavailable(
        f"the service cannot be reached: {error or type(error).__name__}", code="CLIENT.UNREACHABLE", retryable=True
    )


def exchange(call: Call[T], connection: Connection) -> Steps[T]:
    """Make a call; returns what the answer says."""
    response = yield from answered(call, connection)
    return read(call, response)


def read(call: Call[T], response: httpx.Response) -> T:
    """What the answer to a call says; raises `AnswerUnreadable` where that is unknown here."""
    try:
        return call.read(response.content)
    except ValidationError as error:
        raise AnswerUnreadable(
            f"this client cannot read the answer to {call.method} {call.path}; is the service a newer one? {error}",
            code="CLIENT.ANSWER_UNREADABLE",
            request_id=response.headers.get("x-request-id"),
        ) from error


def answered(call: Call[Any], connection: Connection) -> Steps[httpx.Response]:
    """Make a call, and again while that may help: every call can be repeated, those that make jobs by their key."""
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
    """Ask for a job until it has ended; the service answers when it does, so this is one request a minute.

    One that is about to stop answers at once, and asks for a pause.

    Raises:
        WaitTimedOut: it has not ended within `timeout` seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = LONGEST_POLL_SECONDS if deadline is None else deadline - time.monotonic()
        call = get(max(1, min(round(left), LONGEST_POLL_SECONDS)) if left > 0 else None)
        response = yield from answered(call, connection)
        job, pause = read(call, response), pause_after(response)
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
    """For as long as an answer asks for before the next request."""
    asked = retry_after(response)
    return Pause(DEFAULT_PAUSE_SECONDS if asked is None else min(asked, LONGEST_PAUSE_SECONDS))


@dataclass
class Pages:
    """Goes through the pages of a list."""

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
    """A name as a part of a path.

    Raises:
        NotFound: nothing can have this name: it would lead to another path, or can't be sent.
    """
    try:
        path = quote(name, safe="")
    except UnicodeEncodeError:
        path = ""
    if path in ("", ".", "..") or len(path) > LONGEST_SEGMENT:
        raise NotFound(f"there is nothing named {name[:40]!r}", code="CLIENT.NAME_IMPOSSIBLE")
    return path
