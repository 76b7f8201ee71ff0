"""The client as users have it: a wheel in an environment with only its requirements."""

import subprocess
from importlib.metadata import PathDistribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from deploy.lock import ROOT
from tests.conftest import Api
from tests.wheels import build_wheel, described, environment

CALL = """
import sys

import service
from cinemo_client import AsyncClient, Client

with Client({url!r}) as client:
    job = client.animate({photo!r}, "the camera pans left")
    assert job.refresh().status == "queued"
    print(service.OWNER, job.id)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT / "clients" / "python", tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def distribution(wheel: Path) -> PathDistribution:
    return described(wheel)


def test_it_requires_only_httpx_and_pydantic_and_states_its_python_versions(distribution: PathDistribution) -> None:
    asked = [Requirement(each) for each in distribution.requires or ()]
    assert {each.name for each in asked if each.marker is None} == {"httpx", "pydantic"}
    assert {str(each.marker) for each in asked if each.marker} == {'extra == "mcp"'}
    assert distribution.metadata["Requires-Python"] == ">=3.10"


def test_it_installs_only_its_own_package_with_types_and_licence(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"cinemo_client"}
    assert "cinemo_client/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_works_beside_a_project_that_has_a_package_named_service(
    api: Api, wheel: Path, photo: bytes, tmp_path: Path
) -> None:
    python = environment(tmp_path / "environment", wheel)
    (tmp_path / "project" / "service").mkdir(parents=True)
    (tmp_path / "project" / "service" / "__init__.py").write_text('OWNER = "the project"\n')
    script = tmp_path / "project" / "main.py"
    (tmp_path / "photo.png").write_bytes(photo)
    script.write_text(CALL.format(url=api.url, photo=str(tmp_path / "photo.png")))
    done = subprocess.run([python, script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the project job_")
    assert api.queued() == 2
