"""Agents make videos over both transports, with and without tasks, also across a restart of their server."""

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.types import (
    BlobResourceContents,
    CallToolResult,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from cinemo_client.mcp.answers import uri_of
from tests.integration.conftest import SMALL, Service
from tests.integration.mcp.clients import CreatedTask, KnowsTasks, about, asked_earlier, over_http, over_stdio, serving

PAN = {"prompt": "the camera pans left", "num_inference_steps": 2, **SMALL}


@pytest.fixture(scope="module")
def server(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(service.stack.url, tmp_path_factory.mktemp("mcp")) as url:
        yield url


@pytest.fixture(scope="session")
def pan(photo: bytes) -> dict[str, Any]:
    """Arguments of a short job."""
    return {**PAN, "image_base64": base64.b64encode(photo).decode()}


def text_of(result: CallToolResult) -> str:
    return "\n".join(each.text for each in result.content if isinstance(each, TextContent))


async def ended(client: Any, task_id: str) -> dict[str, Any]:
    """A task, once it has ended."""
    while (task := await about(client, "get", task_id))["status"] == "working":
        await asyncio.sleep(0.2)
    return task


def test_a_call_waits_for_its_video_and_reports_progress(server: str, service: Service, pan: dict[str, Any]) -> None:
    reported: list[tuple[float, float | None, str | None]] = []

    async def keep(progress: float, total: float | None, message: str | None) -> None:
        reported.append((progress, total, message))

    async def use() -> tuple[CallToolResult, Any, Any]:
        async with over_http(server) as client:
            result = await client.call_tool("animate", {**pan, "seed": 1}, progress_callback=keep)
            links = {each.uri: each for each in result.content if isinstance(each, ResourceLink)}
            job_id = result.structured_content["job_id"]
            read = [(await client.read_resource(uri_of(job_id, name))).contents[0] for name in ("video", "manifest")]
            assert {uri_of(job_id, name) for name in ("video", "poster", "spritesheet", "manifest")} <= links.keys()
            listed = [each.uri for each in (await client.list_resources()).resources]
            assert uri_of(job_id, "video") in listed
            return result, read[0], read[1]

    result, video, manifest = asyncio.run(use())
    assert not result.is_error
    output = service.get(result.structured_content["job_id"])["output"]
    assert result.structured_content["video"]["width"] == 96
    assert "with seed 1, made by model tiny" in text_of(result)
    (picture,) = [each for each in result.content if isinstance(each, ImageContent)]
    assert hashlib.sha256(base64.b64decode(picture.data)).hexdigest() == output["spritesheet"]["sha256"]
    assert isinstance(video, BlobResourceContents)
    assert hashlib.sha256(base64.b64decode(video.blob)).hexdigest() == output["video"]["sha256"]
    assert isinstance(manifest, TextResourceContents)
    assert '"seed": 1' in manifest.text
    fractions = [done for done, _, _ in reported]
    assert fractions == sorted(set(fractions))
    assert fractions[0] == 0
    assert {total for _, total, _ in reported} == {1}
    assert all(str(message).startswith("job_") for _, _, message in reported)


def test_a_call_without_waiting_returns_an_id_to_follow(
    service: Service, pan: dict[str, Any], photo: bytes, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo)

    async def use() -> tuple[CallToolResult, CallToolResult, CallToolResult]:
        options = ("--wait-seconds", "0", "--folder", str(tmp_path))
        async with over_stdio(service.stack.url, *options) as client:
            begun = await client.call_tool("animate", {**PAN, "image_path": "photo.jpg"})
            job_id = begun.structured_content["job_id"]
            done = await client.call_tool("status", {"job_id": job_id, "wait_seconds": 50})
            return begun, done, await client.call_tool("status", {})

    begun, done, newest = asyncio.run(use())
    assert begun.structured_content["status"] in ("queued", "running")
    assert "Call `status` with its ID" in text_of(begun)
    assert done.structured_content["status"] == "succeeded"
    assert text_of(newest).splitlines()[0].startswith(f"{begun.structured_content['job_id']} animate succeeded")


def test_tasks_continue_while_their_server_restarts(
    server: str, service: Service, pan: dict[str, Any], tmp_path: Path
) -> None:
    longer = {**pan, "num_inference_steps": 20}

    async def begin(url: str) -> CreatedTask:
        async with over_http(url, extensions=[KnowsTasks()]) as client:
            created = await client.session.call_tool("animate", {**longer, "seed": 2}, allow_claimed=True)
            assert isinstance(created, CreatedTask)
            return created

    async def end(task_id: str) -> dict[str, Any]:
        async with over_stdio(service.stack.url, extensions=[KnowsTasks()]) as client:
            return await ended(client, task_id)

    with serving(service.stack.url, tmp_path) as url:
        created = asyncio.run(begin(url))
        earlier = asked_earlier(url, "tools/call", name="animate", arguments={**longer, "seed": 3}, task={})["task"]
    assert (created.status, earlier["status"], earlier["ttl"]) == ("working", "working", None)
    # The first server is gone; these two know nothing but the tasks' IDs.
    task = asyncio.run(end(created.task_id))
    assert task["status"] == "completed"
    assert task["ttlMs"] > 0
    result = CallToolResult.model_validate(task["result"], by_name=False)
    assert (result.is_error, result.structured_content["job_id"]) == (False, created.task_id)
    said = asked_earlier(server, "tasks/result", taskId=earlier["taskId"])
    assert said["structuredContent"]["status"] == "succeeded"
    assert said["_meta"]["io.modelcontextprotocol/related-task"] == {"taskId": earlier["taskId"]}
    assert asked_earlier(server, "tasks/get", taskId=earlier["taskId"])["status"] == "completed"
    assert {service.get(each)["attempt"] for each in (created.task_id, earlier["taskId"])} == {1}


def test_a_client_of_the_earlier_protocol_is_told_about_tasks(server: str) -> None:
    async def use() -> tuple[Any, list[Any]]:
        async with over_http(server, mode="legacy") as client:
            return client.server_capabilities.tasks, (await client.list_tools()).tools

    capability, tools = asyncio.run(use())
    assert capability.requests.tools.call is not None
    stated = {tool.name: tool.execution and tool.execution.task_support for tool in tools}
    assert stated == {"animate": "optional", "edit": "optional", "status": None, "cancel": None, "models": None}


def test_an_edit_applies_the_motion_of_an_earlier_video_to_a_photo(
    server: str, service: Service, pan: dict[str, Any]
) -> None:
    async def use() -> tuple[CallToolResult, CallToolResult]:
        async with over_http(server, mode="legacy") as client:
            first = await client.call_tool("animate", {**pan, "seed": 4})
            source = {"video_job_id": first.structured_content["job_id"], "frames": 8, "prompt": ""}
            return first, await client.call_tool("edit", {**pan, **source})

    first, edited = asyncio.run(use())
    assert not edited.is_error, text_of(edited)
    assert (edited.structured_content["kind"], edited.structured_content["status"]) == ("edit", "succeeded")
    assert edited.structured_content["job_id"] != first.structured_content["job_id"]
