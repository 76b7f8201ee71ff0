"""What `make` does before it can do anything: look at the Python that it is given, and install."""

import subprocess
from pathlib import Path

import pytest

from deploy.lock import ROOT


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("python", ["false", "no-such-python"])
def test_a_python_of_another_version_is_refused_before_anything_is_installed(tmp_path: Path, python: str) -> None:
    done = make("demo", f"PYTHON={python}", f"VENV={tmp_path}/venv")
    assert done.returncode != 0
    assert f"{python} is not Python 3.11" in done.stdout
    assert not (tmp_path / "venv").exists()


def test_pytorch_comes_from_an_index_of_its_own_where_one_is_named(tmp_path: Path) -> None:
    index = "https://download.pytorch.org/whl/cpu"
    usual, named = (
        make("--dry-run", "demo", f"VENV={tmp_path}/venv", f"TORCH_INDEX={each}").stdout for each in ("", index)
    )
    assert "--index-url" not in usual
    (line,) = (line for line in named.splitlines() if "--index-url" in line)
    assert index in line
    assert "torch==" in line
    assert named.index(line) < named.index("--requirement requirements.lock")
