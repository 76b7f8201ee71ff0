"""The client's generated files are up to date, and read what the service returns."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cinemo_client import models
from cinemo_client.protocol import ENDED
from service.jobs import states

ROOT = Path(__file__).parents[3]
SCHEMAS: dict[str, dict[str, Any]] = json.loads((ROOT / "docs" / "openapi.json").read_text())["components"]["schemas"]
EXAMPLES = [(name, example) for name, schema in SCHEMAS.items() for example in schema.get("examples", ())]


@pytest.mark.parametrize("maker", ["generate_models.py", "unasync.py"])
def test_the_committed_files_are_what_the_generators_write(maker: str) -> None:
    command = [sys.executable, str(ROOT / "clients" / "python" / "scripts" / maker), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_each_example_of_the_document_is_read_whole(name: str, example: dict[str, Any]) -> None:
    read = getattr(models, name).model_validate(example)
    assert not read.model_extra
    assert read.model_dump(mode="json", exclude_unset=True) == example


def test_what_a_newer_service_adds_is_kept() -> None:
    name, example = EXAMPLES[0]
    read = getattr(models, name).model_validate({**example, "added": 1})
    assert read.added == 1


def test_the_client_knows_which_states_a_job_stays_in() -> None:
    assert {str(each) for each in ENDED} == {str(each) for each in states.ENDED}
