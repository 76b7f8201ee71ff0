"""A training's rerun keeps what its body doesn't name."""

from typing import Any

import httpx
import pytest

from tests.conftest import Api
from tests.integration.test_training import PREFIX, body

DISTILLATION = {"steps": 2, "solver_steps": 8, "guidance_scale": 3, "checked_prompts": 5}


@pytest.fixture
def job(api: Api) -> dict[str, Any]:
    """A distillation that has not run."""
    videos = api.storage_folder / "data" / PREFIX
    videos.mkdir(parents=True, exist_ok=True)
    (videos / "0.mp4").write_bytes(b"")
    sent = body(method="distill", distillation=DISTILLATION, lora={"rank": 4, "alpha": 8})
    made: dict[str, Any] = httpx.post(f"{api.url}/train", json={**sent, "metadata": {"a": "1"}}).json()
    return made


def rerun(api: Api, job: dict[str, Any], **overrides: Any) -> dict[str, Any]:
    answer = httpx.post(f"{api.url}/jobs/{job['id']}/rerun", json=overrides)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.parametrize(
    ("section", "members"),
    [("distillation", {"force": True}), ("data", {"workers": 1}), ("lora", {"rank": 8}), ("samples", {"clips": 1})],
)
def test_members_of_a_section_are_replaced_one_by_one(
    api: Api, job: dict[str, Any], section: str, members: dict[str, Any]
) -> None:
    again = rerun(api, job, **{section: members})
    assert again["request"] == {**job["request"], section: {**job["request"][section], **members}}


def test_null_resets_a_section_or_one_of_its_members(api: Api, job: dict[str, Any]) -> None:
    assert rerun(api, job, lora=None)["request"]["lora"] is None
    distillation = rerun(api, job, distillation={"guidance_scale": None})["request"]["distillation"]
    assert distillation == {**job["request"]["distillation"], "guidance_scale": None}


def test_metadata_is_replaced_as_a_whole(api: Api, job: dict[str, Any]) -> None:
    assert rerun(api, job, metadata={"b": "2"})["metadata"] == {"b": "2"}


@pytest.mark.parametrize(
    ("overrides", "pointer"),
    [
        ({"data": {"source": None}}, "#/data/source"),
        ({"data": {"colour": 1}}, "#/data/colour"),
        ({"data": "datasets/waves"}, "#/data"),
        ({"distillation": {"steps": 3}}, "#/distillation"),
    ],
)
def test_an_invalid_member_is_rejected_by_name(
    api: Api, job: dict[str, Any], overrides: dict[str, Any], pointer: str
) -> None:
    answer = httpx.post(f"{api.url}/jobs/{job['id']}/rerun", json=overrides)
    assert (answer.status_code, [each["pointer"] for each in answer.json()["errors"]]) == (422, [pointer])
