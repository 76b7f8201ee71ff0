"""Gives every request an ID, a trace and a log line, frees what it holds, and turns unexpected errors into a 500."""

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
from service.observability.tracing import Span, continue_trace, span

log = structlog.get_logger()

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Routes that machines call every few seconds; logged at debug level."""


class RequestMiddleware:
    """Pure ASGI, so that streams pass through unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        client_id = headers.get("x-request-id", "")
        request_id = client_id if REQUEST_ID.fullmatch(client_id) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        trace = continue_trace(headers.get("traceparent"))
        with (
            span("request", trace, "server") as request_span,
            log_context(request_id=request_id, trace_id=request_span.trace_id),
        ):
            await self._respond(scope, receive, send, request_span)

    async def _respond(self, scope: Scope, receive: Receive, send: Send, request_span: Span) -> None:
        started = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = scope["state"]["request_id"]
                # On every response, errors included: browsers must not guess another content type.
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except ClientDisconnect:
            status = None
        except Exception as error:
            log.exception("request failed")
            request_span.fail(type(error).__name__)
            if status is not None:
                # The response has begun; all that is left is to cut it off.
                raise
            problem = Problem("unexpected error; quote the request ID when reporting it")
            await respond(Request(scope), problem)(scope, receive, send_with_id)
        finally:
            if reservation := scope["state"].get("reservation"):
                reservation.release()
            if release := scope["state"].get("admission"):
                release()
            record_request(scope, status or 499, time.perf_counter() - started, request_span)


def record_request(scope: Scope, status: int, seconds: float, request_span: Span) -> None:
    """Record a finished request in log, metrics and trace; status 499 means that the client left before a response."""
    route, method = route_of(scope), method_of(scope)
    request_span.rename(f"{method} {route}")
    request_span.set_attributes(
        **{"http.request.method": method, "http.route": route, "http.response.status_code": status},
        tenant=log_context_value("tenant"),
        job=log_context_value("job"),
    )
    if status >= 500:
        request_span.fail(str(status))
    HTTP_REQUESTS.labels(route, method, f"{status // 100}xx").observe(seconds)
    write = log.debug if route in PROBES else log.info
    write("request", method=method, route=route, status=status, duration_ms=round(seconds * 1000, 1))


def route_of(scope: Scope) -> str:
    """Return the route's template, not the path, whose values are unbounded; `unmatched` if there is no such route."""
    return getattr(scope.get("route"), "path", "unmatched")


def method_of(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else "other"
