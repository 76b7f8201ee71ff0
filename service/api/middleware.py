"""Around every request: its id, its trace, its line in the log, and an answer where the code behind it breaks."""

import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import respond
from service.contract.problems import Problem
from service.observability.logs import log_context, log_context_value
from service.observability.metrics import HTTP_REQUESTS
from service.observability.tracing import Span, continue_trace, span, trace_id

log = structlog.get_logger()

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
FREQUENT = frozenset({"/healthz", "/readyz", "/metrics"})
"""Routes that machines ask every few seconds; in the log only for debugging."""


class RequestMiddleware:
    """Pure ASGI, so that streams pass through it as they come."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        trace = continue_trace(headers.get("traceparent"))
        with span("request", trace, "server") as work, log_context(request_id=request_id, trace_id=trace_id(trace)):
            await self._answer(scope, receive, send, work)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, work: Span) -> None:
        started = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = scope["state"]["request_id"]
                # Of whatever is answered, errors too: a browser must not take it for what it does not say it is.
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            status = None
        except Exception as error:
            log.exception("request failed")
            work.fail(type(error).__name__)
            if status is not None:
                # The answer has begun; that it breaks off is all that can still be said.
                raise
            problem = Problem("an unexpected error; quote the request id when reporting it")
            await respond(Request(scope), problem)(scope, receive, send_with_id)
        finally:
            told(scope, status or 499, time.perf_counter() - started, work)


def told(scope: Scope, status: int, seconds: float, work: Span) -> None:
    """Tell log, metrics and trace of a request that is over; 499 is one whose client has gone before the answer."""
    route, method = route_of(scope), method_of(scope)
    work.rename(f"{method} {route}")
    work.set_attributes(
        **{"http.request.method": method, "http.route": route, "http.response.status_code": status},
        tenant=log_context_value("tenant"),
        job=log_context_value("job"),
    )
    if status >= 500:
        work.fail(str(status))
    HTTP_REQUESTS.labels(route, method, f"{status // 100}xx").observe(seconds)
    write = log.debug if route in FREQUENT else log.info
    write("request", method=method, route=route, status=status, duration_ms=round(seconds * 1000, 1))


def route_of(scope: Scope) -> str:
    """The route's template, since a path may hold anything; `unmatched` where no route has it."""
    return getattr(scope.get("route"), "path", "unmatched")


def method_of(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else "other"
