"""A request and its job are one trace, from the HTTP request through the queue to the upload."""

from tests.collector import Collector, ReceivedSpan
from tests.integration.conftest import Service
from tests.processes import wait_until
from tests.receiver import receiving

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SERVER, CONSUMER = 2, 5


def spans_of(collector: Collector, trace: str, last: str) -> dict[str, ReceivedSpan]:
    """The spans of a trace by name, once the last of them has arrived."""
    wait_until(lambda: last in {span.name for span in collector.trace(trace)}, 30, f"{last} in the trace")
    return {span.name: span for span in collector.trace(trace)}


def test_the_worker_continues_the_trace_of_the_request(service: Service, collector: Collector, photo: bytes) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with receiving() as receiver:
        fields = {"prompt": "nobody's business", "num_inference_steps": 1, "webhook_url": receiver.url}
        job = service.http.post("/animate", headers=headers, data=fields, files={"image": photo}).json()
        spans_of(collector, TRACE, "animate attempt")
        spans = spans_of(collector, TRACE, "webhook job.succeeded")
    steps = {"load input", "model", "encode", "upload"}
    assert set(spans) == {"POST /animate", "animate attempt", "webhook job.succeeded", *steps}
    request, attempt = spans["POST /animate"], spans["animate attempt"]
    assert (request.service, request.kind, request.parent) == ("cinemo-api", SERVER, PARENT)
    assert (attempt.service, attempt.kind, attempt.parent) == ("cinemo-worker", CONSUMER, request.id)
    assert {spans[name].parent for name in steps} == {attempt.id}
    assert spans["webhook job.succeeded"].parent == request.id
    expected = {"http.request.method": "POST", "http.route": "/animate", "http.response.status_code": 202}
    assert request.attributes.items() >= {**expected, "cinemo.job": job["id"], "cinemo.tenant": "default"}.items()
    expected = {"cinemo.job": job["id"], "cinemo.attempt": 1, "cinemo.status": "succeeded", "cinemo.kind": "animate"}
    assert attempt.attributes.items() >= expected.items()
    assert "business" not in repr(spans)
    assert not [span for span in spans.values() if span.failed]


def test_a_request_without_a_trace_begins_one(service: Service, collector: Collector, photo: bytes) -> None:
    job = service.wait_for(service.animate(photo, num_inference_steps=1)["id"])
    wait_until(lambda: bool(attempts(collector, job["id"])), 30, "the attempt's span")
    (attempt,) = attempts(collector, job["id"])
    assert spans_of(collector, attempt.trace, "POST /animate")["POST /animate"].id == attempt.parent


def test_an_attempts_span_states_how_it_ended(service: Service, collector: Collector, photo: bytes) -> None:
    job = service.animate(photo, num_inference_steps=200)
    wait_until(lambda: service.get(job["id"])["status"] == "running", 60)
    service.http.post(f"/jobs/{job['id']}/cancel")
    wait_until(lambda: bool(attempts(collector, job["id"])), 30, "the attempt's span")
    assert attempts(collector, job["id"])[0].attributes["cinemo.status"] == "canceled"


def attempts(collector: Collector, job_id: str) -> list[ReceivedSpan]:
    return [
        span
        for span in collector.spans
        if span.name == "animate attempt" and span.attributes.get("cinemo.job") == job_id
    ]
