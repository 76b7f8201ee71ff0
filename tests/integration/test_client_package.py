"""The client as its users have it: a wheel in an environment with what it asks for alone."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import PathDistribution
from importlib.metadata import distribution as distribution_of
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from deploy.lock import ROOT, closure
from tests.conftest import Api

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
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
    """The wheel, built of a copy, as setuptools leaves its own files beside what it builds."""
    folder = tmp_path_factory.mktemp("client")
    left = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "clients" / "python", folder / "source", ignore=left)
    # Without isolation, which would fetch setuptools.
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "source")]
    subprocess.run(command, check=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def distribution(wheel: Path) -> PathDistribution:
    (info,) = (each for each in ZipPath(wheel).iterdir() if each.name.endswith(".dist-info"))
    return PathDistribution(info)


def environment(folder: Path, wheel: Path, asked: Iterable[str]) -> Path:
    """An environment with the wheel and what that asks for, lent from here so that nothing is fetched; its Python."""
    venv.create(folder)
    python = folder / "bin" / "python"
    subprocess.run([*PIP, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    for name in closure(asked):
        lend(name, packages)
    return python


def lend(name: str, packages: Path) -> None:
    """Put links to the files of an installed distribution into another environment."""
    installed = distribution_of(name)
    for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
        (packages / top).symlink_to(Path(str(installed.locate_file(top))))


def test_it_asks_for_httpx_and_pydantic_alone_and_says_which_pythons(distribution: PathDistribution) -> None:
    assert {Requirement(each).name for each in distribution.requires or ()} == {"httpx", "pydantic"}
    assert distribution.metadata["Requires-Python"] == ">=3.10"


def test_it_installs_its_package_alone_with_its_types_and_licence(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"cinemo_client"}
    assert "cinemo_client/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_works_beside_a_project_that_has_a_package_named_service(
    api: Api, wheel: Path, distribution: PathDistribution, photo: bytes, tmp_path: Path
) -> None:
    python = environment(tmp_path / "environment", wheel, distribution.requires or ())
    (tmp_path / "project" / "service").mkdir(parents=True)
    (tmp_path / "project" / "service" / "__init__.py").write_text('OWNER = "the project"\n')
    script = tmp_path / "project" / "main.py"
    (tmp_path / "photo.png").write_bytes(photo)
    script.write_text(CALL.format(url=api.url, photo=str(tmp_path / "photo.png")))
    done = subprocess.run([python, script], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the project job_")
    assert api.queued() == 2
