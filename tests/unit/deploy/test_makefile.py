"""What `make` does first: check the Python that it is given, and install."""

import subprocess
from pathlib import Path

import pytest

from deploy.local.interpreter import NEWEST, OLDEST, unsupported_reason
from deploy.lock import ROOT
from deploy.supply.requirements import read_pyproject


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("python", ["false", "no-such-python"])
def test_an_unsupported_python_is_rejected_before_anything_is_installed(tmp_path: Path, python: str) -> None:
    done = make("demo", f"PYTHON={python}", f"VENV={tmp_path}/venv")
    assert done.returncode != 0
    assert f"{python} cannot be used" in done.stdout
    assert not (tmp_path / "venv").exists()


def test_pytorch_is_installed_from_a_separate_index_if_one_is_set(tmp_path: Path) -> None:
    index = "https://download.pytorch.org/whl/cpu"
    usual, named = (
        make("--dry-run", "demo", f"VENV={tmp_path}/venv", f"TORCH_INDEX={each}").stdout for each in ("", index)
    )
    assert "--index-url" not in usual
    (line,) = (line for line in named.splitlines() if "--index-url" in line)
    assert index in line
    assert "torch==" in line
    assert named.index(line) < named.index("--requirement requirements.lock")


@pytest.mark.parametrize("python", [(3, 11), (3, 12), (3, 13), (3, 14)])
@pytest.mark.parametrize(
    "machine", [("Linux", "x86_64", "6.1.0"), ("Linux", "aarch64", "6.1.0"), ("Darwin", "arm64", "23.6.0")]
)
def test_every_python_and_machine_that_the_lock_supports_is_accepted(
    python: tuple[int, int], machine: tuple[str, str, str]
) -> None:
    assert unsupported_reason(python, *machine) == ""


@pytest.mark.parametrize(
    ("python", "machine", "reason"),
    [
        ((3, 9), ("Darwin", "arm64", "23.6.0"), "Python 3.11 to 3.14"),
        ((3, 15), ("Linux", "x86_64", "6.1.0"), "Python 3.11 to 3.14"),
        ((3, 13), ("Darwin", "x86_64", "23.6.0"), "macOS on arm64"),
        ((3, 13), ("Darwin", "arm64", "22.6.0"), "macOS 14 or newer"),
        ((3, 13), ("Windows", "AMD64", "11"), "Linux on x86_64 or aarch64"),
    ],
)
def test_an_unsupported_python_or_machine_is_rejected_with_the_requirements(
    python: tuple[int, int], machine: tuple[str, str, str], reason: str
) -> None:
    assert reason in unsupported_reason(python, *machine)


def test_the_accepted_pythons_are_those_that_the_project_declares() -> None:
    declared = read_pyproject(ROOT / "pyproject.toml")["project"]["requires-python"]
    assert declared == f">={OLDEST[0]}.{OLDEST[1]},<{NEWEST[0]}.{NEWEST[1] + 1}"
