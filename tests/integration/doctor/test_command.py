"""`cinemo doctor` as a command: its output and exit code."""

import json
import os
import subprocess
from pathlib import Path

import redis

from deploy.doctor.checks import CHECKS
from tests.absence import REFUSING
from tests.conftest import s3_variables
from tests.forked import completed
from tests.processes import PYTHON


def doctor(variables: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in its own process, with only these variables."""
    return completed([PYTHON, "-m", "deploy.cli", "doctor", *arguments], only(variables))


def only(variables: dict[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("CINEMO_")}, **variables}


def test_the_command_prints_lines_or_json_and_its_exit_code_is_the_worst_status(
    redis_client: redis.Redis, redis_port: int, s3_endpoint: str, tmp_path: Path
) -> None:
    variables = {
        **s3_variables(s3_endpoint),
        "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CINEMO_WORK_FOLDER": str(tmp_path),
        "CINEMO_REDIS_URI": "misspelt",
    }
    done = doctor(variables)
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, summary = done.stdout.splitlines()
    assert [line.split()[1].removesuffix(":") for line in lines] == [check.name for check in CHECKS]
    assert "CINEMO_REDIS_URI" in lines[0]
    assert "CINEMO_REDIS_URL" in lines[0]
    assert summary.endswith("skipped")
    report = json.loads(doctor({**variables, "CINEMO_STORAGE_URL": "s3://no-such-bucket"}, "--json").stdout)
    assert report["status"] == "failure"
    assert {each["check"]: each["status"] for each in report["checks"]}["storage"] == "failure"


def test_invalid_settings_are_reported_and_no_other_check_runs() -> None:
    done = doctor({"CINEMO_STORAGE_URL": "ftp://bucket", "CINEMO_LEASE_SECONDS": "0"})
    assert done.returncode == 1
    assert [line.split(":")[1].strip() for line in done.stdout.splitlines()[:-1]] == [
        "CINEMO_STORAGE_URL",
        "CINEMO_LEASE_SECONDS",
    ]
    done = doctor({"CINEMO_STORAGE_URL": "s3://bucket", "CINEMO_OUTBOUND_ALLOWED_NETWORKS": "10.0.0.0/8"})
    assert done.returncode == 1
    assert "write it as JSON" in done.stdout


def test_without_pytorch_all_other_checks_run(
    redis_client: redis.Redis, redis_port: int, s3_endpoint: str, tmp_path: Path
) -> None:
    absent = {"torch", "numpy", "diffusers", "transformers", "huggingface_hub", "safetensors", "moto", "pytest"}
    variables = {
        **s3_variables(s3_endpoint),
        "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CINEMO_WORK_FOLDER": str(tmp_path / "none"),
    }
    code = f"{REFUSING.format(absent=absent)}\nfrom deploy.cli import app\napp()"
    done = subprocess.run([PYTHON, "-c", code, "doctor"], env=only(variables), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    skipped = {line.split()[1] for line in done.stdout.splitlines() if "in this image" in line}
    assert skipped == {"device:", "device.computation:", "device.memory:", "model:", "model.run:", "work_folder:"}
