"""The code on the page sends the request: it runs as shown, and creates the same job."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.page.browser import Playground

HOSTILE = """@it's "so";\n<$(touch broken) `touch broken` \\ ümläut 水"""


def run(code: str, language: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = ["bash", "-euc", code] if language == "curl" else [sys.executable, "-c", code]
    environment = {**os.environ, "CINEMO_API_KEY": ""}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


def made_by(done: "subprocess.CompletedProcess[str]", playground: Playground) -> dict[str, Any]:
    """The newest job."""
    assert done.returncode == 0, done.stderr
    page: dict[str, Any] = playground.page.request.get(f"{playground.url}/jobs?limit=1").json()
    job: dict[str, Any] = page["jobs"][0]
    return job


@pytest.mark.parametrize("language", ["curl", "python"])
def test_the_code_for_a_users_photo_sends_the_same_request(
    playground: Playground, photo_path: Path, language: str
) -> None:
    playground.choose(photo_path)
    playground.set("Motion", 3)
    playground.set("Guidance", 2.5)
    playground.ask(HOSTILE)
    playground.wait_for_video()
    asked = playground.job()
    playground.page.get_by_role("radio", name=language).check(force=True)
    made = made_by(run(playground.code, language, photo_path.parent), playground)
    assert made["id"] != asked["id"]
    assert made["request"] == asked["request"]
    assert asked["request"]["prompt"] == HOSTILE.replace("\n", " ")
    assert not (photo_path.parent / "broken").exists()


@pytest.mark.parametrize("language", ["curl", "python"])
def test_the_code_for_an_example_is_self_contained(playground: Playground, tmp_path: Path, language: str) -> None:
    playground.button("Rocket").click()
    playground.set("Steps", 2)
    playground.page.get_by_label("Seed", exact=True).fill("4711")
    playground.page.get_by_role("radio", name=language).check(force=True)
    done = run(playground.code, language, tmp_path)
    made = made_by(done, playground)
    assert (made["request"]["prompt"], made["request"]["seed"]) == ("the camera rises", 4711)
    if language == "curl":
        assert json.loads(done.stdout)["id"] == made["id"]
    else:
        assert (tmp_path / "video.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize("language", ["curl", "python"])
def test_the_code_for_an_earlier_jobs_photo_reruns_that_job(
    playground: Playground, tmp_path: Path, language: str
) -> None:
    playground.button("Cat").click()
    playground.ask("it breathes")
    playground.wait_for_video()
    first = playground.job()
    playground.page.reload()
    expect(playground.page.get_by_text("The photo of an earlier job")).to_be_visible()
    playground.page.get_by_label("What happens").fill(HOSTILE)
    playground.page.get_by_role("radio", name=language).check(force=True)
    made = made_by(run(playground.code, language, tmp_path), playground)
    assert made["request"] == {**first["request"], "prompt": HOSTILE.replace("\n", " ")}


def test_the_code_can_be_copied(playground: Playground) -> None:
    playground.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    playground.button("Copy").click()
    expect(playground.button("Copied")).to_be_visible()
    assert playground.page.evaluate("navigator.clipboard.readText()") == playground.page.locator("#code").inner_text()


def test_without_clipboard_access_the_code_is_selected(playground: Playground) -> None:
    playground.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    playground.button("Copy").click()
    expect(playground.announced).to_have_text("Selected; copy it with your keyboard")
    assert "curl -sS" in playground.page.evaluate("getSelection().toString()")
