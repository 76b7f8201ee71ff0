"""OpenTelemetry traces from the request over the queue to the last webhook, by the W3C `traceparent` kept in the job.

Spans are recorded only where OpenTelemetry's standard variables ask for them; elsewhere its API hands the parent on,
and the SDK is not loaded.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Literal

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

log = structlog.get_logger()

DESTINATIONS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Variables that ask for traces where `OTEL_TRACES_EXPORTER` leaves it open."""

SpanRole = Literal["internal", "server", "client", "producer", "consumer"]

_tracer: trace.Tracer = trace.NoOpTracer()
_propagator = TraceContextTextMapPropagator()


class Span:
    """A piece of work; `traceparent` is what continues it elsewhere."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        return traceparent_of(trace.set_span_in_context(self._span))

    def note(self, **attributes: Any) -> None:
        """Add attributes; None is left out. Names of OpenTelemetry's conventions have a dot, ours get `cinemo.`."""
        self._span.set_attributes(named(attributes))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, reason: str) -> None:
        """Mark the work as failed; the reason is a type or a code, never a message that might quote a client."""
        self._span.set_status(trace.StatusCode.ERROR)
        self._span.set_attribute("error.type", reason)


def configure_tracing(service_name: str) -> None:
    """Export this process's spans if the environment asks for it; where that fails, say so and work without."""
    global _tracer
    if not isinstance(_tracer, trace.NoOpTracer) or not asked_for():
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
    kind = trace.SpanKind[role.upper()]
    begun = _tracer.start_span(name, remote_context(parent) if parent else None, kind, named(attributes))
    # The text of an exception may quote a client.
    with trace.use_span(begun, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        work = Span(begun)
        try:
            yield work
        except Exception as error:
            work.fail(type(error).__name__)
            raise


def current() -> str | None:
    """The traceparent that continues the work at hand."""
    return traceparent_of(None)


def traceparent_of(context: Context | None) -> str | None:
    """Of a context, or of the current one; None outside of a trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context)
    return carrier.get("traceparent")


def continued(traceparent: str | None) -> str:
    """The client's own trace where the header is valid, else a new one."""
    if traceparent and trace_id(traceparent):
        return traceparent
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def trace_id(traceparent: str | None) -> str | None:
    """The id by which a backend finds the trace; None if the header is missing or invalid."""
    context = trace.get_current_span(remote_context(traceparent or "")).get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def remote_context(traceparent: str) -> Context:
    return _propagator.extract({"traceparent": traceparent}, Context())


def named(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name if "." in name else f"cinemo.{name}": value for name, value in attributes.items() if value is not None}
