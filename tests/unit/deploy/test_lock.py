"""Each image installs exactly what its processes need, at the versions of the full lock."""

import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.lock import ALL, EXTRAS, LOCK, NOT_LOCKED, ROOT, locked
from deploy.supply.requirements import OWN, read_pyproject
from tests.absence import REFUSING
from tests.requirements import closure

STARTED = "service.api.app, service.__main__, deploy.cli, worker.__main__, worker.health, worker.deliver"
LATER = "uvicorn.loops.auto, uvicorn.protocols.http.auto, deploy.compose.credentials, deploy.compose.receiver"
"""What is loaded only as it is needed."""
REMEDY = "write it anew: .venv/bin/python -m deploy.lock"


@pytest.mark.parametrize("name", EXTRAS)
def test_an_images_lock_is_the_closure_of_its_dependencies(name: str) -> None:
    assert set(locked(ROOT / name)) == led_to(EXTRAS[name]), REMEDY


def test_the_full_lock_is_the_closure_of_all_dependencies() -> None:
    assert set(locked(LOCK)) == led_to(ALL), REMEDY


def led_to(extras: Iterable[str]) -> set[str]:
    """The closure of the project's dependencies with some extras, without what only PyTorch for NVIDIA needs."""
    about = read_pyproject(ROOT / "pyproject.toml")
    project, without = about["project"], about["tool"]["uv"]["exclude-dependencies"]
    wanted = chain(project["dependencies"], *(project["optional-dependencies"][each] for each in extras))
    return closure(wanted, without) - set(NOT_LOCKED)


def test_the_images_locks_are_subsets_of_the_full_one() -> None:
    whole, api, worker = (locked(path).items() for path in (LOCK, *(ROOT / name for name in EXTRAS)))
    assert api < worker < whole
    assert not {"torch", "numpy", "av"} & dict(api).keys()


def test_locked_versions_are_within_the_projects_ranges() -> None:
    versions = locked(LOCK)
    projects = [read_pyproject(path)["project"] for path in (ROOT / "pyproject.toml", *OWN.values())]
    asked = chain(*(project["dependencies"] for project in projects), *(projects[0]["optional-dependencies"].values()))
    for each in map(Requirement, asked):
        if each.name not in NOT_LOCKED:
            assert versions[canonicalize_name(each.name)] in each.specifier, REMEDY


def test_api_sender_and_command_line_import_only_what_their_image_contains() -> None:
    has = locked(ROOT / "requirements-api.lock").keys() | {"cinemo", "cinemo-spec"}
    absent = {
        module
        for module, names in packages_distributions().items()
        if not has & {canonicalize_name(name) for name in names}
    }
    assert {"torch", "numpy", "moto"} <= absent
    environment = {**os.environ, "CINEMO_STORAGE_URL": "s3://videos"}
    command = [sys.executable, "-c", REFUSING.format(absent=absent) + f"import {STARTED}, {LATER}"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
