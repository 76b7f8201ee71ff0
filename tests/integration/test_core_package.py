"""The model library as users have it: two wheels in an environment with only their requirements."""

import subprocess
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import cinemo_spec
from deploy.lock import ROOT
from deploy.supply.requirements import OWN
from tests.wheels import build_service_wheel, build_wheel, described, environment

ANIMATE = """
import importlib.util
import sys

import numpy as np
from cinemo_core import CinemoPipeline, write_video

found = [name for name in {absent} if importlib.util.find_spec(name)]
assert not found, found
pipe = CinemoPipeline.from_pretrained("tiny")
photo = np.full((64, 96, 3), 128, np.uint8)
frames = pipe(photo, "the camera pans left", num_inference_steps=1, num_frames=8, width=96, height=64)
assert frames.shape == (22, 64, 96, 3), frames.shape
write_video("out.mp4", frames)
"""
LIBRARY = {name: OWN[name] for name in ("cinemo-spec", "cinemo-core")}
ABSENT = ["service", "worker", "deploy", "tests", "fastapi", "starlette", "uvicorn", "celery", "redis", "boto3"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of cinemo-spec and cinemo-core."""
    folder = tmp_path_factory.mktemp("core")
    return {name: build_wheel(path.parent, folder) for name, path in LIBRARY.items()}


def test_it_animates_in_an_environment_without_web_or_queue_packages(wheels: dict[str, Path], tmp_path: Path) -> None:
    python = environment(tmp_path / "environment", *wheels.values())
    command = [str(python), "-c", ANIMATE.format(absent=ABSENT)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=240)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mp4").stat().st_size > 0


@pytest.mark.parametrize("name", LIBRARY)
def test_each_wheel_contains_exactly_the_modules_of_its_package(wheels: dict[str, Path], name: str) -> None:
    package = LIBRARY[name].parent
    packed = {each for each in ZipFile(wheels[name]).namelist() if ".dist-info/" not in each}
    modules = {str(path.relative_to(ROOT)) for path in package.rglob("*.py") if "build" not in path.parts}
    assert {each for each in packed if each.endswith(".py")} == modules
    assert {each.partition("/")[0] for each in packed} == {package.name}
    assert f"{package.name}/py.typed" in packed
    models = [path for name in ("tiny", "tiny_turbo") for path in (package / name).rglob("*") if path.is_file()]
    assert {str(path.relative_to(ROOT)) for path in models} <= packed


@pytest.mark.parametrize("name", LIBRARY)
def test_each_supports_python_3_10_and_has_the_version_of_the_service(wheels: dict[str, Path], name: str) -> None:
    metadata = described(wheels[name]).metadata
    assert metadata["Requires-Python"] == ">=3.10"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert metadata["Version"] == cinemo_spec.__version__ == project["version"]


def test_the_service_requires_the_library_only_with_the_extra_for_workers(tmp_path: Path) -> None:
    wheel = build_service_wheel(tmp_path)
    tops = {name.partition("/")[0] for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert tops == {"service", "worker", "deploy"}
    asked = {each.name: str(each.marker or "") for each in map(Requirement, described(wheel).requires or ())}
    assert asked["cinemo-core"] == 'extra == "worker"'
    assert asked["cinemo-spec"] == ""
    assert "torch" not in asked
