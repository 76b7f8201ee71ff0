"""Each image installs what its part needs, at the versions of the whole lock, and nothing else."""

import os
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
from packaging.utils import canonicalize_name

from deploy.lock import EXTRAS, LOCK, ROOT, part_of_lock
from tests.absence import REFUSING

STARTED = "service.api.app, service.__main__, deploy.cli, worker.__main__, worker.health, worker.deliver"
LATER = "uvicorn.loops.auto, uvicorn.protocols.http.auto, deploy.compose.credentials, deploy.compose.receiver"
"""What is loaded only as it is needed."""


@pytest.mark.parametrize("name", EXTRAS)
def test_the_lock_of_an_image_is_what_its_dependencies_lead_to(name: str) -> None:
    assert (ROOT / name).read_text() == part_of_lock(name), "write it anew: .venv/bin/python -m deploy.lock"


def test_the_locks_are_parts_of_the_whole_one() -> None:
    whole, api, worker = (
        set(path.read_text().splitlines())
        for path in (LOCK, ROOT / "requirements-api.lock", ROOT / "requirements-worker.lock")
    )
    assert api < worker < whole
    assert not [line for line in api if line.startswith(("torch", "numpy", "av="))]


def test_front_sender_and_command_line_need_nothing_that_their_image_lacks() -> None:
    locked = (ROOT / "requirements-api.lock").read_text().splitlines()
    has = {canonicalize_name(line.partition("==")[0]) for line in locked} | {"cinemo", "cinemo-spec"}
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
