"""OpenTelemetry traces from the request through the queue to the last webhook, via the job's W3C `traceparent`.

Spans are recorded only if OpenTelemetry's standard variables enable them; otherwise its API propagates the parent, and
the SDK is not loaded.
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
"""Variables that enable traces if `OTEL_TRACES_EXPORTER` is not set."""

SpanRole = Literal["internal", "server", "client", "producer", "consumer"]

_tracer: trace.Tracer = trace.NoOpTracer()
_propagator = TraceContextTextMapPropagator()


class Span:
    """A unit of work; `traceparent` continues it in another process."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def trace_id(self) -> str:
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    @property
    def traceparent(self) -> str | None:
        return traceparent_of(trace.set_span_in_context(self._span))

    def set_attributes(self, **attributes: Any) -> None:
        """Set attributes; None is omitted. Names without a dot, as OpenTelemetry's have, get the prefix `cinemo.`."""
        self._span.set_attributes(prefixed(attributes))

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, reason: str) -> None:
        """Mark the work as failed; the reason is a type or a code, never a message, which might quote a client."""
        self._span.set_status(trace.StatusCode.ERROR)
        self._span.set_attribute("error.type", reason)


def configure_tracing(service_name: str) -> None:
    """Export this process's spans if the environment enables it; a failure is logged, and disables traces."""
    global _tracer
    if not isinstance(_tracer, trace.NoOpTracer) or not traces_enabled():
        return
    from service.observability.exporting import export_spans

    try:
        _tracer = export_spans({"service.name": service_name, "service.version": version("cinemo")})
    # Exporters are third-party code, and raise anything for invalid variables.
    except Exception as error:
        given = {name: os.environ[name] for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_PROTOCOL")}
        log.error("no traces are exported", error=str(error), **given)


def traces_enabled() -> bool:
    """Whether the standard variables enable traces, which are off by default."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER")
    if exporter:
        return exporter.strip().lower() != "none"
    return any(os.environ.get(name) for name in DESTINATIONS)


@contextmanager
def span(name: str, parent: str | None = None, role: SpanRole = "internal", **attributes: Any) -> Iterator[Span]:
    """Record the work done within as a span of the trace `parent`, by default the current one.

    If traces are off, the span's traceparent is the parent's.
    """
    kind = trace.SpanKind[role.upper()]
    started = _tracer.start_span(name, remote_context(parent) if parent else None, kind, prefixed(attributes))
    # The text of an exception may quote a client.
    with trace.use_span(started, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        work = Span(started)
        try:
            yield work
        except Exception as error:
            work.fail(type(error).__name__)
            raise


def current() -> str | None:
    """The traceparent that continues the current span elsewhere."""
    return traceparent_of(None)


def traceparent_of(context: Context | None) -> str | None:
    """The traceparent of a context, by default the current one; None outside a trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context)
    return carrier.get("traceparent")


def continue_trace(traceparent: str | None) -> str:
    """The client's traceparent if valid, else that of a new trace."""
    if traceparent and trace_id(traceparent):
        return traceparent
    digits = os.urandom(24).hex()
    return f"00-{digits[:32]}-{digits[32:]}-01"


def trace_id(traceparent: str | None) -> str | None:
    """The trace's ID; None if the header is missing or invalid."""
    context = trace.get_current_span(remote_context(traceparent or "")).get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def remote_context(traceparent: str) -> Context:
    return _propagator.extract({"traceparent": traceparent}, Context())


def prefixed(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name if "." in name else f"cinemo.{name}": value for name, value in attributes.items() if value is not None}
