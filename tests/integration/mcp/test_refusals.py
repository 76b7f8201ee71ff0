"""Agents can do and see what their key permits, and their mistakes are explained."""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CallToolResult,
    TextContent,
)

from cinemo_client.mcp.answers import uri_of
from service.contract.record import new_job_id
from service.store.tenants import Scope, TenantStore
from tests.conftest import Api, api_running
from tests.integration.mcp.clients import KnowsTasks, about, asked_earlier, over_http, over_stdio, serving
from tests.jobs import JobStore, new_training

KNOWS_TASKS = [KnowsTasks()]


@pytest.fixture(scope="module")
def guarded_process(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api_running(tmp_path_factory.mktemp("guarded"), redis_port, {"CINEMO_AUTH": "keys"}) as api:
        yield api


@pytest.fixture
def guarded(guarded_process: Api) -> Api:
    """An API that requires keys, without workers."""
    guarded_process.redis.flushall()
    return guarded_process


@pytest.fixture(scope="module")
def server(api_process: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(api_process.url, tmp_path_factory.mktemp("mcp")) as url:
        yield url


@pytest.fixture(scope="session")
def waves(photo: bytes) -> dict[str, Any]:
    return {"prompt": "waves", "image_base64": base64.b64encode(photo).decode()}


def text_of(result: CallToolResult) -> str:
    (text,) = [each.text for each in result.content if isinstance(each, TextContent)]
    return text


def key_of(api: Api, tenant: str, scope: Scope = Scope.ANIMATE) -> str:
    _, token = TenantStore(api.redis).create_key(tenant, frozenset({scope}))
    return token


async def code_of(client: Client, method: str, task_id: str) -> int:
    """The error code of the response to a request about a task."""
    with pytest.raises(MCPError) as raised:
        await about(client, method, task_id)
    return raised.value.code


def test_over_http_each_client_acts_as_its_own_tenant_and_never_as_the_servers(
    guarded: Api, waves: dict[str, Any], tmp_path: Path
) -> None:
    ours, theirs, trainer = (key_of(guarded, "ours"), key_of(guarded, "theirs"), key_of(guarded, "ours", Scope.TRAIN))

    async def use(url: str) -> None:
        async with over_http(url, ours, extensions=KNOWS_TASKS) as client:
            created: Any = await client.session.call_tool("animate", waves, allow_claimed=True)
            job_id = created.task_id
            assert (await client.call_tool("status", {"job_id": job_id})).structured_content["status"] == "queued"
        async with over_http(url, theirs, extensions=KNOWS_TASKS) as client:
            assert "(NOT_FOUND)" in text_of(await client.call_tool("cancel", {"job_id": job_id}))
            assert (await client.call_tool("status", {})).structured_content == {"jobs": []}
            assert await code_of(client, "get", job_id) == await code_of(client, "cancel", job_id) == INVALID_PARAMS
            with pytest.raises(MCPError, match=r"\(NOT_FOUND\)"):
                await client.read_resource(uri_of(job_id, "video"))
        async with over_http(url, trainer) as client:
            refused = await client.call_tool("animate", waves)
            assert refused.is_error
            assert "AUTH.SCOPE_MISSING" in text_of(refused)
        async with over_http(url) as client:
            assert len((await client.list_tools()).tools) == 5
            for tool, arguments in (("animate", waves), ("status", {}), ("models", {})):
                assert "AUTH.KEY_INVALID" in text_of(await client.call_tool(tool, arguments))

    with serving(guarded.url, tmp_path, own_key=ours) as url:
        asyncio.run(use(url))


def test_over_stdio_the_key_comes_from_the_environment(guarded: Api, waves: dict[str, Any]) -> None:
    async def use() -> CallToolResult:
        async with over_stdio(guarded.url, "--wait-seconds", "0", key=key_of(guarded, "ours")) as client:
            return await client.call_tool("animate", waves)

    assert asyncio.run(use()).structured_content["status"] == "queued"


def test_a_video_is_not_accepted_twice(api: Api, waves: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"film")

    async def use() -> CallToolResult:
        async with over_stdio(api.url, "--folder", str(tmp_path)) as client:
            return await client.call_tool("edit", {**waves, "video_path": "film.mp4", "video_job_id": "job_none"})

    assert "give only one of video_path and video_job_id" in text_of(asyncio.run(use()))


def test_an_invalid_call_gets_a_result_that_says_what_is_wrong(api: Api, server: str, waves: dict[str, Any]) -> None:
    async def use() -> dict[str, str]:
        wrong = {
            "field": ("animate", {**waves, "motion_intensity": 99}),
            "unknown": ("animate", {**waves, "zoom": 2}),
            "photo": ("animate", {"prompt": "waves"}),
            "base64": ("edit", {**waves, "image_base64": "?"}),
            "path": ("animate", {"prompt": "waves", "image_path": "/etc/hostname"}),
            "job": ("status", {"job_id": "job_none"}),
            "wait": ("status", {"job_id": "job_none", "wait_seconds": 3600}),
            "missing": ("cancel", {}),
            "elsewhere": ("status", {"job_id": ".."}),
            "nameless": ("cancel", {"job_id": ""}),
            "earlier": ("edit", {**waves, "video_job_id": ".."}),
            "extra": ("models", {"page": 2}),
            "text": ("status", {"job_id": 7}),
        }
        async with over_http(server, extensions=KNOWS_TASKS) as client:
            results = {name: await client.call_tool(*call) for name, call in wrong.items()}
            assert all(result.is_error for result in results.values())
            with pytest.raises(MCPError, match="there is no tool train"):
                await client.call_tool("train", {})
            with pytest.raises(MCPError, match="is not cinemo://jobs/JOB/FILE"):
                await client.read_resource("file:///etc/hostname")
            return {name: text_of(result) for name, result in results.items()}

    reported = asyncio.run(use())
    assert "INPUT.INVALID" in reported["field"]
    assert "- motion_intensity: " in reported["field"]
    assert "- zoom: " in reported["unknown"]
    assert "INPUT." in reported["photo"]
    assert "start the server with --folder" in reported["path"]
    assert "(NOT_FOUND)" in reported["job"]
    assert reported["wait"] == "- wait_seconds: must be at most 50"
    assert reported["missing"] == "- job_id: is required"
    assert (reported["extra"], reported["text"]) == ("- page: unknown field", "- job_id: must be text")
    assert all("nothing named" in reported[name] for name in ("elsewhere", "nameless", "earlier"))
    assert api.queued() == 0


def test_a_canceled_job_is_a_cancelled_task_in_either_protocol(api: Api, server: str, waves: dict[str, Any]) -> None:
    async def use() -> None:
        async with over_http(server, extensions=KNOWS_TASKS) as client:
            created: Any = await client.session.call_tool("animate", waves, allow_claimed=True)
            await about(client, "update", created.task_id)
            assert await about(client, "cancel", created.task_id)
            task = await about(client, "get", created.task_id)
            assert task["status"] == "cancelled"
            assert "result" not in task

    asyncio.run(use())
    earlier = asked_earlier(server, "tools/call", name="animate", arguments=waves, task={})["task"]
    assert asked_earlier(server, "tasks/cancel", taskId=earlier["taskId"])["status"] == "cancelled"
    result = CallToolResult.model_validate(
        asked_earlier(server, "tasks/result", taskId=earlier["taskId"]), by_name=False
    )
    assert result.is_error
    assert "ended as canceled" in text_of(result)


def test_only_clients_that_support_tasks_get_them_and_only_for_jobs_that_make_videos(
    api: Api, server: str, waves: dict[str, Any]
) -> None:
    training = new_training(new_job_id())
    JobStore(api.redis).submissions.create(training)

    async def use() -> None:
        async with over_http(server, extensions=KNOWS_TASKS) as client:
            for task_id in (training.id, "", ".."):
                assert await code_of(client, "get", task_id) == INVALID_PARAMS
            assert await code_of(client, "cancel", "") == INVALID_PARAMS
            assert await code_of(client, "result", training.id) == METHOD_NOT_FOUND
        async with over_http(server) as client:
            for method in ("get", "cancel", "update"):
                assert await code_of(client, method, training.id) == MISSING_REQUIRED_CLIENT_CAPABILITY
        async with over_http(server, mode="legacy") as client:
            assert await code_of(client, "get", "job_none") == INVALID_PARAMS
            assert await code_of(client, "update", training.id) == METHOD_NOT_FOUND

    asyncio.run(use())
    models = asked_earlier(server, "tools/call", name="models", arguments={}, task={})
    assert models["error"] == {"code": METHOD_NOT_FOUND, "message": "models can't be a task"}
    invalid = asked_earlier(server, "tools/call", name="animate", arguments={"prompt": ""}, task={})
    assert "INPUT.INVALID" in invalid["error"]["message"]
