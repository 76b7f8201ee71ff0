"""Prompts: one, or one per clip, in JSON, in a form and in the client."""

import base64
import json
from typing import Any

import httpx
import pytest

from cinemo_client import Client
from tests.conftest import Api
from tests.pictures import small_png

PROMPTS = ["pan left", "zoom in"]


def send(api: Api, **fields: Any) -> httpx.Response:
    photo = base64.b64encode(small_png()).decode()
    return httpx.post(f"{api.url}/animate", json={"image_base64": photo, **fields})


def test_each_clip_may_have_its_own_prompt(api: Api) -> None:
    assert send(api, prompt=PROMPTS, clips=2).json()["request"]["prompt"] == PROMPTS
    form = httpx.post(
        f"{api.url}/animate", data={"prompt": json.dumps(PROMPTS), "clips": "2"}, files={"image": small_png()}
    )
    assert form.json()["request"]["prompt"] == PROMPTS
    with Client(api.url) as client:
        job = client.animate(small_png(), PROMPTS, clips=2)
        assert httpx.get(f"{api.url}/jobs/{job.id}").json()["request"]["prompt"] == PROMPTS


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"prompt": PROMPTS}, "#/clips"),
        ({"prompt": PROMPTS, "clips": 3}, "#/clips"),
        ({"prompt": []}, "#/prompt"),
        ({"prompt": ["pan left", " "], "clips": 2}, "#/prompt"),
        ({"prompt": ["pan left", 7], "clips": 2}, "#/prompt"),
        ({"prompt": [["pan left"]]}, "#/prompt"),
        ({"prompt": {"a": "b"}}, "#/prompt"),
        ({"prompt": None}, "#/prompt"),
        ({"prompt": ["a\0b"]}, "#/prompt"),
        ({"prompt": ["a"] * 17, "clips": 16}, "#/prompt"),
        ({"prompt": "pan left", "first_frame": "decoded"}, "#/first_frame"),
    ],
)
def test_invalid_prompts_per_clip_are_rejected_by_field(api: Api, fields: dict[str, Any], pointer: str) -> None:
    answer = send(api, **fields)
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


def test_a_prompt_of_the_maximum_length_is_used_in_full(api: Api) -> None:
    assert send(api, prompt="a " * 500).status_code == 202


def test_the_first_frame_can_be_decoded_if_all_frames_are(api: Api) -> None:
    answer = send(api, prompt="pan left", first_frame="decoded", detail="off")
    assert answer.json()["request"]["first_frame"] == "decoded"
