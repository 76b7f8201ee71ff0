"""Where spans go: what OpenTelemetry's standard variables say, read as the SDK's own configurator reads them.

Imported only where those variables ask for traces, since it loads the SDK. The provider does not become the global one,
as the configurator would have it: libraries find that, FastAPI among them, and their spans may quote a client.
"""

import os

from opentelemetry.sdk._configuration import (
    _get_exporter_names,
    _get_id_generator,
    _get_sampler,
    _import_exporters,
    _import_id_generator,
    _import_sampler,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer

DEFAULTS = {
    "OTEL_TRACES_EXPORTER": "otlp",
    # As the specification recommends; the SDK's own is gRPC, whose exporter is a package of its own.
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}


def export_spans(about: dict[str, str]) -> Tracer:
    """Export this process's spans, which say `about` it what the environment does not.

    Raises:
        RuntimeError: an exporter, a protocol or a generator of ids is unknown, or its package is not installed.
    """
    for name, value in DEFAULTS.items():
        # An empty variable is one that is not set, by the specification.
        os.environ[name] = os.environ.get(name) or value
    exporters, _, _ = _import_exporters(_get_exporter_names("traces"), (), ())
    provider = TracerProvider(
        sampler=_import_sampler(_get_sampler()),
        id_generator=_import_id_generator(_get_id_generator()),
        resource=Resource.create({**about, **OTELResourceDetector().detect().attributes}),
    )
    for exporter in exporters.values():
        provider.add_span_processor(BatchSpanProcessor(exporter()))
    return provider.get_tracer("cinemo")
