"""Real clients of the dialect work with this service as with the one that they are made for."""

import json
import os
import subprocess
from pathlib import Path
from typing import IO

import av
import httpx
import pytest
import redis

from service.webhooks.endpoints import EndpointStore
from tests.dialect.conftest import Served
from tests.dialect.environments import ALL, SDKS, Environment
from tests.processes import answers, wait_until
from tests.proxy import http_proxy
from tests.receiver import receiving

pytestmark = pytest.mark.timeout(600)


def by_requirement(environment: Environment) -> str:
    return environment.requirement


every_client = pytest.mark.parametrize("client", ALL, ids=by_requirement)
every_sdk = pytest.mark.parametrize("client", SDKS, ids=by_requirement)


def variables(served: Served, photo: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "URL": served.stack.url,
        "PHOTO": str(photo),
        "FOLDER": str(photo.parent),
        **served.keys,
        **more,
    }


def run(client: Environment, task: str, environment: dict[str, str]) -> str:
    """Run the program and return its output; raises if it fails."""
    done = subprocess.run([*client.command(), task], env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def listed(served: Served) -> list[str]:
    """The tenant's jobs in this service's own list."""
    headers = {"Authorization": f"Bearer {served.keys['KEY']}"}
    return [job["id"] for job in httpx.get(f"{served.stack.url}/jobs", headers=headers).json()["jobs"]]


@every_client
def test_a_client_creates_lists_downloads_and_if_it_can_deletes_videos(
    client: Environment, served: Served, photo_path: Path
) -> None:
    run(client, "everything", variables(served, photo_path))
    with av.open(photo_path.with_name("video.mp4")) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height) == (96, 64)
        assert sum(1 for _ in video.decode(stream)) == 31


@every_client
def test_a_client_raises_the_matching_exception_and_sees_only_its_own_tenants_videos(
    client: Environment, served: Served, photo_path: Path
) -> None:
    run(client, "errors", variables(served, photo_path))


@every_sdk
def test_a_request_whose_response_is_lost_creates_one_job(
    client: Environment, served: Served, photo_path: Path
) -> None:
    with http_proxy(served.stack.url) as proxy:
        proxy.plan("lost")
        made = run(client, "once", variables(served, photo_path, URL=proxy.url))
        assert [seen.fault for seen in proxy.seen] == ["lost", None]
    assert listed(served) == [made]


@every_sdk
def test_killing_the_api_after_the_request_does_not_affect_the_client(
    client: Environment, served: Served, photo_path: Path
) -> None:
    stack = served.stack
    command = [*client.command(), "outlast"]
    with subprocess.Popen(
        command,
        env=variables(served, photo_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        made = piped(program.stdout).readline().strip()
        api = stack.processes["api"]
        api.kill()
        api.wait()
        stack.spawn("api", [str(each) for each in as_list(api.args)])
        _, errors = program.communicate("\n", timeout=280)
    wait_until(lambda: answers(f"{stack.url}/readyz"))
    assert program.returncode == 0, errors
    assert listed(served) == [made]


def as_list(arguments: object) -> list[object]:
    assert isinstance(arguments, list)
    return arguments


def piped(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@every_sdk
def test_a_client_verifies_and_parses_webhooks_of_its_videos(
    client: Environment, served: Served, photo_path: Path
) -> None:
    endpoints = EndpointStore(redis.Redis(port=served.stack.redis_port))
    tenant = served.keys["TENANT"]
    with receiving() as receiver:
        endpoint = endpoints.add(tenant, receiver.url, ["video.completed", "video.failed"])
        made = run(client, "once", variables(served, photo_path))
        wait_until(lambda: bool(receiver.received), 120, "the webhook being received")
        endpoints.remove(tenant, endpoint.id)
    received = receiver.received[0]
    reported = json.dumps({"body": received.body.decode(), "headers": received.headers})
    (secret,) = endpoints.secrets(tenant)
    printed = run(client, "unwrap", variables(served, photo_path, RECEIVED=reported, SECRET=secret))
    assert printed == f"video.completed {made}"
