"""What the client sends, when it retries and when it gives up: the protocol alone, without sockets or clocks."""

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from cinemo_client import (
    AsyncClient,
    AsyncJobHandle,
    Client,
    Conflict,
    JobHandle,
    NotFound,
    RequestInvalid,
    ResponseUnreadable,
    TooManyRequests,
    Unavailable,
    WaitTimedOut,
    calls,
)
from cinemo_client.aio import AsyncTransport
from cinemo_client.errors import error_of
from cinemo_client.models import TrainConfig
from cinemo_client.protocol import MAX_POLL_SECONDS, Connection, Pause, Steps, exchange, until_ended
from cinemo_client.streams import EventParser, EventStream
from cinemo_client.sync import Transport
from service.contract.problems import FieldError, InvalidInput, Problem, QueueFull, QueueUnavailable, RequestInFlight
from service.contract.schemas import examples

CONNECTION = Connection("https://cinemo.example.com/", "cin_key")
Answer = Problem | httpx.TransportError | dict[str, Any]


def carry_out(steps: Steps[Any], answers: list[Answer], retry_after: int = 5) -> tuple[Any, list[httpx.Request], float]:
    """Answer one request after another; returns the result, the requests, and the sum of all pauses."""
    sent: list[httpx.Request] = []
    paused = 0.0
    coming = iter(answers)
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                paused += step.seconds
                step = steps.send(None)
                continue
            sent.append(step)
            answer = next(coming)
            if isinstance(answer, httpx.TransportError):
                step = steps.throw(answer)
            elif isinstance(answer, Problem):
                headers = {"Retry-After": str(retry_after)} if answer.status in (429, 503) else {}
                step = steps.send(httpx.Response(answer.status, headers=headers, json=answer.body("r1"), request=step))
            else:
                step = steps.send(httpx.Response(202, json=answer, request=step))
    except StopIteration as done:
        assert list(coming) == []
        return done.value, sent, paused


def animate() -> Steps[Any]:
    return exchange(calls.animate(b"photo", "waves", {"seed": 7, "reuse": False}, None, "90s"), CONNECTION)


def test_a_request_that_creates_a_job_is_retried_with_its_key_after_the_retry_after() -> None:
    trouble: list[Answer] = [QueueUnavailable("no Redis"), httpx.ConnectError("refused"), RequestInFlight("wait")]
    job, sent, paused = carry_out(animate(), [*trouble, examples.ANIMATE_JOB])
    assert job.id == examples.JOB_ID
    assert len({request.headers["idempotency-key"] for request in sent}) == 1
    assert len(sent) == 4
    assert paused >= 5
    assert {request.headers["cancel-after"] for request in sent} == {"90s"}
    assert {request.headers["authorization"] for request in sent} == {"Bearer cin_key"}
    assert {str(request.url) for request in sent} == {"https://cinemo.example.com/animate"}
    bodies = {request.read() for request in sent}
    assert all(b"photo" in body and b"waves" in body and b"false" in body for body in bodies)


def test_a_form_leaves_out_what_is_none() -> None:
    parameters = {"width": None, "source_prompt": None, "seed": 0}
    body = calls.edit(b"GIF89a", b"photo", parameters, None, None).body
    assert body["data"] == {"seed": "0"}
    assert calls.animate("HTTPS://a.example/1.jpg", "waves", {}, None, None).body["json"]["image_url"]


def test_a_key_from_a_file_is_sent_without_its_line_break() -> None:
    request = Connection("https://cinemo.example.com/\n", "cin_key\n").request(calls.list_models())
    assert request.headers["authorization"] == "Bearer cin_key"
    assert str(request.url) == "https://cinemo.example.com/models"


@pytest.mark.parametrize("key", ["cin\nkey", "cin_kéy"])
def test_a_key_that_cannot_be_sent_is_rejected_at_once_without_being_quoted(key: str) -> None:
    with pytest.raises(RequestInvalid, match="Authorization") as raised:
        carry_out(exchange(calls.list_models(), Connection("https://cinemo.example.com", key)), [])
    assert (raised.value.retryable, "cin" in str(raised.value)) == (False, False)


@pytest.mark.parametrize("url", ["localhost:8000", "cinemo.example.com", "ftp://cinemo.example.com", "http://", ""])
def test_a_url_that_is_none_of_a_service_is_rejected_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is not the URL of a service"):
        Client(url)


def test_separate_requests_have_different_keys() -> None:
    keys = [carry_out(animate(), [examples.ANIMATE_JOB])[1][0].headers["idempotency-key"] for _ in range(2)]
    assert keys[0] != keys[1]


@pytest.mark.parametrize("trouble", [QueueUnavailable("no Redis"), httpx.ConnectError("refused"), QueueFull("full")])
def test_a_lasting_failure_is_raised_after_four_retries(trouble: Answer) -> None:
    with pytest.raises(Unavailable if not isinstance(trouble, QueueFull) else TooManyRequests) as raised:
        carry_out(animate(), [trouble] * 5)
    assert raised.value.retryable
    assert raised.value.__cause__ is (trouble if isinstance(trouble, httpx.TransportError) else None)


def test_a_long_retry_after_raises_an_error_at_once() -> None:
    with pytest.raises(TooManyRequests) as raised:
        carry_out(animate(), [QueueFull("full")], retry_after=3600)
    assert (raised.value.retry_after, raised.value.code) == (3600, "QUEUE.FULL")


def test_an_invalid_request_is_not_retried_and_its_error_names_the_fields() -> None:
    problem = InvalidInput("seed: too large", [FieldError("#/seed", "too large")])
    with pytest.raises(RequestInvalid) as raised:
        carry_out(animate(), [problem])
    error = raised.value
    assert (error.code, error.retryable, error.request_id, str(error)) == ("INPUT.INVALID", False, "r1", problem.detail)
    assert [(each.pointer, each.detail) for each in error.errors] == [("#/seed", "too large")]


def test_every_problem_of_the_service_has_an_exception_class() -> None:
    assert isinstance(raised_for(RequestInFlight("wait")), Conflict)
    assert isinstance(raised_for(Problem("boom")), Unavailable)


def raised_for(problem: Problem) -> Exception:
    request = httpx.Request("GET", "http://cinemo/jobs")
    return error_of(httpx.Response(problem.status, json=problem.body("r1"), request=request))


def test_a_proxys_error_is_reported_by_its_status() -> None:
    request = httpx.Request("GET", "http://cinemo/jobs")
    error = error_of(httpx.Response(502, text="<html>Bad Gateway</html>", request=request))
    assert (type(error), error.code, error.retryable) == (Unavailable, "HTTP.502", True)


def test_a_url_is_passed_to_the_service_and_a_path_is_read() -> None:
    by_url = calls.animate("https://example.com/a.jpg", "waves", {"seed": 7}, None, None)
    assert by_url.body == {"json": {"image_url": "https://example.com/a.jpg", "prompt": "waves", "seed": 7}}
    assert calls.animate(__file__, "waves", {}, None, None).body["files"]["image"].startswith(b'"""What the client')


@pytest.mark.parametrize("as_model", [True, False])
def test_a_training_request_contains_only_the_given_fields(as_model: bool) -> None:
    given = {"name": "waves", "data": {"source": "datasets/waves", "frames": 8}, "steps": 10}
    config = TrainConfig.model_validate(given) if as_model else given
    job, [request], _ = carry_out(exchange(calls.train(config, "run-1", None), CONNECTION), [examples.TRAIN_JOB])
    assert json.loads(request.read()) == given
    assert request.headers["idempotency-key"] == "run-1"
    assert job.request.optimizer.learning_rate > 0


def test_waiting_uses_long_polls_until_the_job_has_ended() -> None:
    steps = until_ended(lambda wait: calls.get_job("job_1", wait), CONNECTION, None)
    job, sent, _ = carry_out(steps, [examples.ANIMATE_JOB, examples.ANIMATE_JOB, examples.SUCCEEDED_JOB])
    assert job.status == "succeeded"
    assert [request.url.params["wait"] for request in sent] == [str(MAX_POLL_SECONDS)] * 3
    assert all(request.extensions["timeout"]["read"] > MAX_POLL_SECONDS for request in sent)


def test_if_the_service_responds_at_once_polling_follows_its_retry_after() -> None:
    def answers() -> Iterator[httpx.Response]:
        yield httpx.Response(200, json=examples.ANIMATE_JOB, headers={"Retry-After": "7"})
        yield httpx.Response(200, json=examples.SUCCEEDED_JOB)

    steps, coming, done = until_ended(lambda wait: calls.get_job("job_1", wait), CONNECTION, None), answers(), []
    with suppress(StopIteration):
        done.append(next(steps))
        while True:
            done.append(steps.send(None if isinstance(done[-1], Pause) else next(coming)))
    assert done[1] == Pause(7)
    assert len(done) == 3


@pytest.mark.parametrize("blocking", [True, False])
def test_a_stream_that_ends_early_is_resumed_unless_the_job_has_ended(blocking: bool) -> None:
    asked: list[str] = []
    event = 'id: 1-0\nevent: job.{}\ndata: {{"at": "2026-11-24T09:21:46+00:00"}}\n\n'.format
    at_once = {"Retry-After": "0"}
    coming = iter(
        [
            httpx.Response(200, text=event("running")),
            httpx.Response(200, text=""),
            httpx.Response(200, json=examples.ANIMATE_JOB, headers=at_once),
            httpx.Response(200, text=""),
            httpx.Response(200, json=examples.SUCCEEDED_JOB, headers=at_once),
            httpx.Response(200, text=event("succeeded")),
        ]
    )

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path.rpartition("/")[2])
        return next(coming)

    assert heard(answer, blocking) == ["job.running", "job.succeeded"]
    assert asked == ["events", "events", "job_1", "events", "job_1", "events"]


def heard(answer: Callable[[httpx.Request], httpx.Response], blocking: bool) -> list[str]:
    """Types of the events that a listener receives."""
    stream = EventStream("job_1", None, CONNECTION)
    if blocking:
        transport = Transport(CONNECTION)
        transport.http = httpx.Client(transport=httpx.MockTransport(answer))
        return [event.type for event in transport.stream(stream)]

    async def listen() -> list[str]:
        transport = AsyncTransport(CONNECTION)
        transport.http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        return [event.type async for event in transport.stream(stream)]

    return asyncio.run(listen())


def test_without_waiting_the_current_job_is_returned() -> None:
    with pytest.raises(WaitTimedOut) as raised:
        carry_out(until_ended(lambda wait: calls.get_job("job_1", wait), CONNECTION, 0), [examples.ANIMATE_JOB])
    assert raised.value.job.status == "queued"


def test_members_that_a_newer_service_adds_are_accepted() -> None:
    newer = {**examples.ANIMATE_JOB, "mood": "calm", "request": {**examples.ANIMATE_REQUEST, "zoom": 2}}
    assert calls.parse_job(httpx.Response(200, json=newer).content).id == examples.JOB_ID


def test_events_that_only_a_newer_service_knows_are_accepted() -> None:
    newer = {**examples.ANIMATE_JOB, "webhook_events": ["job.succeeded", "job.paused"]}
    delivery = {**examples.DELIVERY, "type": "job.paused"}
    assert carry_out(exchange(calls.get_job("job_1"), CONNECTION), [newer])[0].webhook_events[1] == "job.paused"
    [read] = carry_out(exchange(calls.list_deliveries("job_1"), CONNECTION), [{"deliveries": [delivery]}])[0]
    assert read.type == "job.paused"


@pytest.mark.parametrize("newer", [{"status": "resting"}, {"kind": "sing"}, {"attempt": "many"}])
def test_an_unreadable_response_raises_an_error_of_the_client(newer: dict[str, Any]) -> None:
    for steps in (
        exchange(calls.get_job("job_1"), CONNECTION),
        until_ended(lambda wait: calls.get_job("job_1", wait), CONNECTION, None),
    ):
        with pytest.raises(ResponseUnreadable, match=r"GET /jobs/job_1.*newer") as raised:
            carry_out(steps, [{**examples.ANIMATE_JOB, **newer}])
        assert (raised.value.code, raised.value.retryable) == ("CLIENT.RESPONSE_UNREADABLE", False)


def test_ids_are_escaped_in_paths() -> None:
    assert calls.cancel_job("../models/waves").path == "/jobs/..%2Fmodels%2Fwaves/cancel"


STREAM = (
    ': hello\n\nid: 1-0\nevent: job.queued\ndata: {"at": "2026-11-24T09:21:46+00:00"}\n\n'
    'id: 2-0\r\nevent: progress\r\ndata: {"at": "2026-11-24T09:21:47+00:00", "message": "künftig"}\r\n\r\n'
    "id: 3-0\nevent: cut"
).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, len(STREAM)])
def test_events_are_parsed_however_the_bytes_are_split(size: int) -> None:
    parser = EventParser()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    heard = [event for piece in pieces for event in parser.feed(piece)]
    assert [(event.id, event.type) for event in heard] == [("1-0", "job.queued"), ("2-0", "progress")]
    assert heard[1].data == {"message": "künftig"}


def members(kind: type[Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    names = {"__aenter__": "__enter__", "__aexit__": "__exit__"}
    for name, member in inspect.getmembers(kind, inspect.isfunction):
        yield names.get(name, name), member


@pytest.mark.parametrize(("blocking", "waiting"), [(Client, AsyncClient), (JobHandle, AsyncJobHandle)])
def test_both_clients_have_the_same_methods_with_the_same_parameters(blocking: type[Any], waiting: type[Any]) -> None:
    one, other = dict(members(blocking)), dict(members(waiting))
    assert one.keys() == other.keys()
    for name in one.keys() - {"__init__"}:
        assert inspect.signature(one[name]).parameters == inspect.signature(other[name]).parameters, name


@pytest.mark.parametrize("name", ["", ".", "..", "\ud800", "x" * 100_000])
def test_a_name_that_would_lead_to_another_path_is_found_nowhere(name: str) -> None:
    for call in (calls.get_job, calls.cancel_job, calls.delete_model):
        with pytest.raises(NotFound, match="there is nothing named"):
            call(name)
    assert calls.get_job("../models").path == "/jobs/..%2Fmodels"
