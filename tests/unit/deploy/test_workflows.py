"""The workflows run what the repository can do, with pinned actions and minimal permissions."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from yaml.safe_load(path.read_text())["jobs"].items()


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for _, job in jobs(path):
        yield from job.get("steps", ())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_action_is_pinned_to_the_commit_of_a_release(path: Path) -> None:
    used = re.findall(r"uses: ([^\n]+)", path.read_text())
    assert used
    for each in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) or each.startswith("./"), each


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_job_has_undeclared_permissions_or_a_token_on_disk(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {}
    for name, job in jobs(path):
        assert job["permissions"], name
        assert "uses" in job or job["timeout-minutes"] <= 90, name
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        assert "${{" not in step.get("run", ""), "values come by `env`, where no shell reads them as commands"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_make_target_in_workflows_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = {target for step in steps(path) for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))}
    assert made <= targets


def test_a_release_builds_the_images_of_the_stack() -> None:
    built = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]["images"]
    released = {each["image"]: each["dockerfile"] for each in built["strategy"]["matrix"]["include"]}
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    ours = {service["image"].partition(":")[0]: service["build"] for service in services if "build" in service}
    assert set(released) == set(ours)
    for image, dockerfile in released.items():
        assert ours[image]["dockerfile"] == f"deploy/docker/{dockerfile}.Dockerfile"


def test_code_client_document_and_chart_have_one_version() -> None:
    version, client = (
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]["version"]
        for folder in (".", "clients/python")
    )
    chart = yaml.safe_load((ROOT / "deploy" / "chart" / "Chart.yaml").read_text())
    contract = json.loads((ROOT / "docs" / "openapi.json").read_text())["info"]["version"]
    assert chart["version"] == chart["appVersion"] == contract == client == version
