"""OpenTelemetry traces from the request over the queue to the last webhook, by the W3C `traceparent` kept in the job.

Spans are made only where OpenTelemetry's standard variables ask for them; elsewhere nothing of it is loaded.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import structlog

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as RecordedSpan
    from opentelemetry.trace import Tracer

log = structlog.get_logger()

DESTINATIONS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Variables that ask for traces where `OTEL_TRACES_EXPORTER` leaves it open."""
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
"""Of https://www.w3.org/TR/trace-context; a later version may say more at its end."""

SpanRole = Literal["internal", "server", "client", "producer", "consumer"]

_tracer: "Tracer | None" = None
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


@dataclass
class Span:
    """A piece of work; `traceparent` is what continues it elsewhere."""

    traceparent: str | None
    _recorded: "RecordedSpan | None" = None

    def note(self, **attributes: Any) -> None:
        """Add attributes; None is left out. Names of OpenTelemetry's conventions have a dot, ours get `cinemo.`."""
        if self._recorded:
            self._recorded.set_attributes(named(attributes))

    def rename(self, name: str) -> None:
        if self._recorded:
            self._recorded.update_name(name)

    def fail(self, reason: str) -> None:
        """Mark the work as failed; the reason is a type or a code, never a message that might quote a client."""
        if self._recorded:
            from opentelemetry.trace import StatusCode

            self._recorded.set_status(StatusCode.ERROR)
            self._recorded.set_attribute("error.type", reason)


def configure_tracing(service_name: str) -> None:
    """Export this process's spans if the environment asks for it; where that fails, say so and work without."""
    global _tracer
    if _tracer or not asked_for():
        return
    from service.observability.exporting import export_spans

    try:
        _tracer = export_spans({"service.name": service_name, "service.version": version("cinemo")})
    # An exporter is anybody's code, and refuses its variables with whatever it likes.
    except Exception as error:
        given = {name: os.environ[name] for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL")}
        log.error("no traces are exported", error=str(error), **given)


def asked_for() -> bool:
    """Whether the standard variables ask for traces; without any of them the answer is no."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER")
    if exporter:
        return exporter.strip().lower() != "none"
    return any(os.environ.get(name) for name in DESTINATIONS)


@contextmanager
def span(name: str, parent: str | None = None, role: SpanRole = "internal", **attributes: Any) -> Iterator[Span]:
    """Record what is done within as a span: of the trace that `parent` names, else of the one at hand.

    Where nothing is recorded, the parent's traceparent is handed on.
    """
    with record(name, parent, role, attributes) as work:
        token = _current.set(work.traceparent)
        try:
            yield work
        except Exception as error:
            work.fail(type(error).__name__)
            raise
        finally:
            _current.reset(token)


def current() -> str | None:
    """The traceparent that continues the work at hand."""
    return _current.get()


@contextmanager
def record(name: str, parent: str | None, role: SpanRole, attributes: dict[str, Any]) -> Iterator[Span]:
    if _tracer is None:
        yield Span(parent or _current.get())
        return
    from opentelemetry.trace import SpanKind

    with _tracer.start_as_current_span(
        name,
        remote_context(parent) if parent else None,
        SpanKind[role.upper()],
        named(attributes),
        # The text of an exception may quote a client.
        record_exception=False,
        set_status_on_exception=False,
    ) as recorded:
        context = recorded.get_span_context()
        flags = f"{int(context.trace_flags):02x}"
        yield Span(f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags}", recorded)


def continued(traceparent: str | None) -> str:
    """The client's own trace where the header is valid, else a new one."""
    if traceparent and TRACEPARENT.fullmatch(traceparent):
        return traceparent
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def trace_id(traceparent: str | None) -> str | None:
    """The id by which a backend finds the trace."""
    match = TRACEPARENT.fullmatch(traceparent or "")
    return match[1] if match else None


def remote_context(traceparent: str) -> "Context":
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})


def named(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name if "." in name else f"cinemo.{name}": value for name, value in attributes.items() if value is not None}
