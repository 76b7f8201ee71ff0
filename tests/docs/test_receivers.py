"""`make docs-test`: the receivers in docs/howto/receive-webhooks.md accept only the service's webhooks."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.redis import free_port
from service.webhooks.sign import new_secret, sign
from tests.docs.pages import ROOT, blocks_of
from tests.docs.reader import at_places
from tests.docs.script import PORT
from tests.processes import running, wait_until

PAGE = "docs/howto/receive-webhooks.md"
BODY = b'{"type": "job.succeeded", "data": {"id": "job_1"}}'
SECRET = new_secret()


@pytest.fixture(params=["hook.py", "hook.mjs"])
def hook(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of one of the two, and its output."""
    blocks = blocks_of(PAGE)
    at = next(number for number, block in enumerate(blocks) if block.title == request.param)
    program, start = blocks[at].text, blocks[at + 1].text
    port, log = str(free_port()), tmp_path / "log"
    places = dict.fromkeys(PORT.findall(program + start), port)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    (tmp_path / request.param).write_text(at_places(program, places))
    command = ["bash", "-c", f"cd '{tmp_path}' && exec {at_places(start, places)}"]
    environment = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    url = f"http://127.0.0.1:{port}/hook"
    with running(command, log, lambda: listens(url), environment):
        yield url, log


def listens(url: str) -> bool:
    try:
        return httpx.post(url).status_code == 400
    except httpx.TransportError:
        return False


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    return httpx.post(url, content=body, headers=headers).status_code


def test_a_receiver_accepts_a_signed_message_and_handles_it_once(hook: tuple[str, Path]) -> None:
    url, log = hook
    headers = sign([new_secret(), SECRET], "msg_1", int(time.time()), BODY)
    assert [post(url, BODY, headers) for _ in range(2)] == [204, 204]
    assert post(url, BODY, sign([SECRET], "msg_2", int(time.time()), BODY)) == 204
    wait_until(lambda: log.read_text().count("job.succeeded job_1") == 2, 10, "what the receiver prints")


def test_a_receiver_rejects_altered_old_or_foreign_messages(hook: tuple[str, Path]) -> None:
    url, log = hook
    now = int(time.time())
    ours = sign([SECRET], "msg_1", now, BODY)
    assert post(url, BODY + b" ", ours) == 400
    assert post(url, BODY, {**ours, "webhook-id": "msg_2"}) == 400
    assert post(url, BODY, {**ours, "webhook-timestamp": "soon"}) == 400
    assert post(url, BODY, {**ours, "webhook-signature": "v1,"}) == 400
    assert post(url, BODY, sign([SECRET], "msg_1", now - 600, BODY)) == 400
    assert post(url, BODY, sign([new_secret()], "msg_1", now, BODY)) == 400
    assert "job_1" not in log.read_text()
