"""The middleware around every request, with routes that fail in every way."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from structlog.testing import capture_logs

from service.api.draining import DrainingMiddleware
from service.api.middleware import RequestMiddleware
from service.api.problems import handle_errors
from service.store.async_scripts import AsyncScripts
from service.store.watch import JobWatch


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    handle_errors(app)
    app.add_middleware(RequestMiddleware)

    @app.get("/broken/{name}")
    def broken(name: str) -> None:
        raise RuntimeError("nobody foresaw this")

    @app.get("/stream")
    async def stream(chunks: int) -> StreamingResponse:
        async def made() -> AsyncIterator[bytes]:
            for number in range(chunks):
                yield str(number).encode()
            raise RuntimeError("broke off")

        return StreamingResponse(made())

    @app.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    return app


def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    return asyncio.run(answer(app, method, path, **options))


async def answer(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.request(method, path, **options)


def test_an_unexpected_error_is_a_problem_with_the_requests_id(app: FastAPI, logged: list[Any]) -> None:
    answer = ask(app, "GET", "/broken/it", headers={"x-request-id": "r-1"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert (answer.headers["x-request-id"], answer.json()["request_id"]) == ("r-1", "r-1")
    assert "foresaw" not in answer.text
    failed, request = logged
    assert (failed["event"], failed["log_level"], failed["exc_info"]) == ("request failed", "error", True)
    assert (request["event"], request["route"], request["status"]) == ("request", "/broken/{name}", 500)


def test_a_response_that_has_begun_is_cut_off_by_an_error(app: FastAPI, logged: list[Any]) -> None:
    answer = ask(app, "GET", "/stream?chunks=3")
    assert (answer.status_code, answer.content) == (200, b"012")
    assert [entry["event"] for entry in logged] == ["request failed", "request"]


def test_streams_are_not_buffered(app: FastAPI) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        raise AssertionError

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET",
        "path": "/stream",
        "raw_path": b"/stream",
        "query_string": b"chunks=2",
        "headers": [],
    }
    with pytest.raises(RuntimeError):
        asyncio.run(app(scope, receive, send))
    assert [message.get("body") for message in sent] == [None, b"0", b"1"]


def test_a_client_that_disconnects_early_is_not_an_error(app: FastAPI, logged: list[Any]) -> None:
    async def send(message: Any) -> None:
        raise AssertionError(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/echo",
        "raw_path": b"/echo",
        "query_string": b"",
        "headers": [(b"content-length", b"5")],
    }
    asyncio.run(app(scope, receive, send))
    assert [(entry["event"], entry["status"]) for entry in logged] == [("request", 499)]


@pytest.mark.parametrize(("method", "label"), [("POST", "POST"), ("BREW", "other")])
def test_unknown_methods_share_one_metric_label(app: FastAPI, logged: list[Any], method: str, label: str) -> None:
    answer = ask(app, method, "/stream")
    assert answer.status_code == 405
    assert logged[-1]["method"] == label
    assert json.loads(answer.content)["code"] == "HTTP.METHOD_NOT_ALLOWED"


def test_a_draining_process_closes_its_connections(app: FastAPI) -> None:
    async def asked_before_and_after() -> list[str | None]:
        watch = JobWatch("redis://127.0.0.1:1/0", AsyncScripts("redis://127.0.0.1:1/0"))
        app.add_middleware(DrainingMiddleware, watch=watch)
        before = await answer(app, "POST", "/echo")
        watch.drain()
        return [each.headers.get("connection") for each in (before, await answer(app, "POST", "/echo"))]

    assert asyncio.run(asked_before_and_after()) == [None, "close"]
