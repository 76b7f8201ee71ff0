"""The API reference at /docs as browsers get it, and its commands as a shell runs them."""

import itertools
import json
import os
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest

from service.api.reference.blocks import Code
from service.api.reference.page import page
from service.contract.settings import Settings
from service.openapi import document
from service.storage import open_object_store
from service.store.tenants import Scope, TenantStore
from tests.conftest import Api, api_running
from tests.integration.tags import Tags

# Refused by what stands in the service, not by how they are sent: no schema could tell.
NOT_THERE = {"NOT_FOUND", "INPUT.UPLOAD.UNKNOWN", "INPUT.URL.UNREACHABLE", "INPUT.UPLOAD.UNSUPPORTED"}
COMMANDS = [
    each.text for each in page(document(), "http://the-service") if isinstance(each, Code) and each.language == "sh"
]


@pytest.fixture(scope="module")
def guarded(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, str]]:
    """An API that requires keys, and a key with all scopes."""
    with api_running(tmp_path_factory.mktemp("reference"), redis_port, {"CINEMO_AUTH": "keys"}) as api:
        _, key = TenantStore(api.redis).create_key("acme", frozenset([Scope.ADMIN]))
        yield api, key


@pytest.fixture
def folder(guarded: tuple[Api, str], tmp_path: Path, photo: bytes) -> Path:
    """A folder with the files that the commands name; their dataset is in the storage."""
    (tmp_path / "photo.jpg").write_bytes(photo)
    (tmp_path / "video.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
    settings = Settings(storage_url=f"file://{guarded[0].storage_folder}", url_signing_key="for tests alone")
    open_object_store(settings).put_bytes("datasets/acme/waves/1.mp4", b"a video", "video/mp4")
    return tmp_path


def test_the_page_is_html_without_scripts_or_other_hosts(api: Api) -> None:
    answer = httpx.get(f"{api.url}/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    tags = Tags(answer.text).found
    assert not [tag for tag, _ in tags if tag == "script"]
    loaded = [each.get("src") or each.get("href") for tag, each in tags if tag in ("link", "img")]
    assert loaded
    assert not [each for each in loaded if each is None or ":" in each]


def test_the_page_can_be_navigated_with_a_screen_reader(api: Api) -> None:
    tags = Tags(httpx.get(f"{api.url}/docs").text)
    names = [tag for tag, _ in tags.found]
    assert ("html", {"lang": "en"}) in tags.found
    assert [names.count(each) for each in ("title", "main", "nav", "h1")] == [1, 1, 1, 1]
    assert tags.named(**{"class": "skip"})["href"] == "#content"
    levels = [int(each[1]) for each in names if re.fullmatch("h[1-6]", each)]
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))
    ids = [each["id"] for _, each in tags.found if "id" in each]
    assert len(ids) == len(set(ids))
    targets = {
        (each.get("href") or "")[1:] for tag, each in tags.found if tag == "a" and each.get("href") != "openapi.json"
    }
    assert targets <= set(ids)
    scopes = [each.get("scope") for tag, each in tags.found if tag == "th"]
    assert set(scopes) == {"col", "row"}


def test_the_page_renders_the_document_that_the_api_serves(api: Api) -> None:
    shown = unescape(httpx.get(f"{api.url}/docs").text)
    for path, item in httpx.get(f"{api.url}/openapi.json").json()["paths"].items():
        for method, operation in item.items():
            assert f"<code>{method.upper()} {path}</code>" in shown
            assert f">{operation['summary']}</h3>" in shown
    assert f"{api.url}/animate" in shown


def test_a_cached_page_is_not_sent_again(api: Api) -> None:
    first = httpx.get(f"{api.url}/docs")
    again = httpx.get(f"{api.url}/docs", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert httpx.head(f"{api.url}/docs").headers["etag"] == first.headers["etag"]


def test_the_frameworks_own_pages_are_disabled(api: Api) -> None:
    assert {httpx.get(api.url + path).status_code for path in ("/redoc", "/docs/oauth2-redirect")} == {404}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_on_the_page_works_as_written(command: str, guarded: tuple[Api, str], folder: Path) -> None:
    api, key = guarded
    done = subprocess.run(
        [
            "sh",
            "-c",
            command.replace("http://the-service", api.url).replace("curl -sS", "curl -sS -w '\\n%{http_code}'"),
        ],
        cwd=folder,
        env={**os.environ, "CINEMO_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    assert int(status) < 300 or json.loads(body)["code"] in NOT_THERE, done.stdout
