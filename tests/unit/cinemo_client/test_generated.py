"""The client's generated files are up to date, and its knowledge of states is correct."""

import subprocess
import sys

import pytest

from cinemo_client.protocol import ENDED
from deploy.lock import ROOT
from service.contract import states


@pytest.mark.parametrize("generator", ["generate_models.py", "unasync.py"])
def test_the_committed_generated_files_are_up_to_date(generator: str) -> None:
    command = [sys.executable, str(ROOT / "clients" / "python" / "scripts" / generator), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_client_knows_the_final_states() -> None:
    assert {str(each) for each in ENDED} == {str(each) for each in states.ENDED}
