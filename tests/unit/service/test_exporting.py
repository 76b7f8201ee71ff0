"""Spans are sent as OpenTelemetry's standard variables say; without them, the SDK is not loaded.

Each case is a process with variables of its own, which sends its spans to a real collector at its end.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.collector import Collector, collecting

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PROCESS = f"""
import sys
from service.observability.logs import configure_logs
from service.observability.tracing import configure_tracing, span

configure_logs(log_format="json")
configure_tracing("cinemo-api")
with span("work", {PARENT!r}) as work:
    print(work.traceparent)
print(any(name.startswith("opentelemetry.sdk") for name in sys.modules))
"""

ANYWHERE = "http://127.0.0.1:1"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def run(**variables: str) -> tuple[str, bool, list[dict[str, Any]]]:
    """The span's traceparent, whether its SDK was loaded, and the log."""
    # Another test's service may have an exporter.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", PROCESS], capture_output=True, text=True, check=True, env={**environment, **variables}
    )
    # What an exporter to the console prints comes afterwards.
    traceparent, loaded = done.stdout.splitlines()[:2]
    return traceparent, loaded == "True", [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{}"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{}/v1/traces"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ANYWHERE, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{}/v1/traces"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_TRACES_EXPORTER": "otlp"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_TRACES_EXPORTER": "otlp_proto_http"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_TRACES_EXPORTER": "console,otlp"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "{}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        },
        # Empty is not set, and whatever is not "true" is false.
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "{}",
            "OTEL_TRACES_EXPORTER": "",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "",
            "OTEL_SDK_DISABLED": "1",
        },
        # Other signals are none of ours, whoever is told to send them.
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "{}", "OTEL_METRICS_EXPORTER": "prometheus", "OTEL_LOGS_EXPORTER": "nobodys"},
    ],
)
def test_spans_are_sent_where_the_variables_say(variables: dict[str, str], collector: Collector) -> None:
    traceparent, _, logged = run(**{name: value.format(collector.endpoint) for name, value in variables.items()})
    (span,) = collector.spans
    assert (span.service, span.name) == ("cinemo-api", "work")
    assert traceparent == f"00-{span.trace}-{span.id}-01"
    assert not logged


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ANYWHERE, "OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ANYWHERE, "OTEL_TRACES_EXPORTER": " None "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ANYWHERE, "OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": ANYWHERE},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
    ],
)
def test_without_traces_the_sdk_is_not_loaded(variables: dict[str, str]) -> None:
    assert run(**variables) == (PARENT, False, [])


def test_an_unsampled_trace_is_propagated_but_not_sent(collector: Collector) -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    traceparent, _, _ = run(**endpoint, OTEL_TRACES_SAMPLER="always_off")
    assert traceparent[:35] == PARENT[:35]
    assert traceparent[-2:] == "00"
    run(**endpoint, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0")
    assert not collector.spans


@pytest.mark.parametrize(
    ("variables", "service"),
    [
        ({"OTEL_SERVICE_NAME": "videos"}, "videos"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=videos,deployment.environment=test"}, "videos"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test"}, "cinemo-api"),
    ],
)
def test_the_variables_can_name_the_service(variables: dict[str, str], service: str, collector: Collector) -> None:
    run(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **variables)
    assert [span.service for span in collector.spans] == [service]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "otlp_proto_grpc"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "otlp_proto_grpc"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "http/json"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
        ({"OTEL_PYTHON_ID_GENERATOR": "xray"}, "xray"),
    ],
)
def test_an_unavailable_exporter_is_reported_in_one_line_and_the_service_runs(
    variables: dict[str, str], said: str, collector: Collector
) -> None:
    traceparent, _, (line,) = run(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **variables)
    assert (line["level"], line["event"]) == ("error", "no traces are exported")
    assert said in line["error"]
    assert (traceparent, collector.spans) == (PARENT, [])


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_SAMPLER": "nobodys"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "nobodys"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "nobodys"},
    ],
)
def test_an_invalid_variable_is_reported_and_its_default_used(variables: dict[str, str], collector: Collector) -> None:
    _, _, (line, *_) = run(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **variables)
    assert line["level"] == "warning"
    assert "nobodys" in line["event"]
    assert [span.name for span in collector.spans] == ["work"]
