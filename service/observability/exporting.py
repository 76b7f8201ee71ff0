"""Exports spans as OpenTelemetry's standard variables configure it, read like the SDK's own configurator does.

Imported only if those variables enable traces, since it loads the SDK. Unlike the configurator, it doesn't set the
global provider, which libraries such as FastAPI would use for spans that may quote a client.
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
    # As the specification recommends; the SDK's default, gRPC, requires a separate package.
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}


def export_spans(attributes: dict[str, str]) -> Tracer:
    """Export this process's spans, with resource `attributes` that the environment may override.

    Raises:
        RuntimeError: an exporter, protocol or ID generator is unknown, or its package is not installed.
    """
    for name, value in DEFAULTS.items():
        # By the specification, an empty variable counts as unset.
        os.environ[name] = os.environ.get(name) or value
    exporters, _, _ = _import_exporters(_get_exporter_names("traces"), (), ())
    provider = TracerProvider(
        sampler=_import_sampler(_get_sampler()),
        id_generator=_import_id_generator(_get_id_generator()),
        resource=Resource.create({**attributes, **OTELResourceDetector().detect().attributes}),
    )
    for exporter in exporters.values():
        provider.add_span_processor(BatchSpanProcessor(exporter()))
    return provider.get_tracer("cinemo")
