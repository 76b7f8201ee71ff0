"""Wheels of our distributions, and environments with only their requirements."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import PathDistribution
from importlib.metadata import distribution as distribution_of
from pathlib import Path
from zipfile import Path as ZipPath

from deploy.lock import ROOT
from deploy.supply.requirements import OWN
from tests.requirements import closure

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
LEFT = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel from a copy, as setuptools leaves files beside what it builds."""
    source = folder / project.name
    shutil.copytree(project, source, ignore=LEFT)
    return wheel_of(source, folder / "wheels")


def build_service_wheel(folder: Path) -> Path:
    """The wheel of the application, whose project is the root of the repository."""
    source = folder / "cinemo"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("service", "worker", "deploy", "cinemo_spec", "cinemo_core"):
        shutil.copytree(ROOT / name, source / name, ignore=LEFT)
    return wheel_of(source, folder / "wheels")


def wheel_of(source: Path, folder: Path) -> Path:
    before = set(folder.glob("*.whl"))
    # Without isolation, which would fetch setuptools.
    command = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True)
    (made,) = set(folder.glob("*.whl")) - before
    return made


def described(wheel: Path) -> PathDistribution:
    """The wheel's metadata."""
    (info,) = (each for each in ZipPath(wheel).iterdir() if each.name.endswith(".dist-info"))
    return PathDistribution(info)


def environment(folder: Path, *wheels: Path) -> Path:
    """An environment with the wheels and links to their requirements, so that nothing is downloaded; its Python."""
    venv.create(folder)
    python = folder / "bin" / "python"
    command = [*PIP, "--python", str(python), "install", "--no-deps", "--no-index", *map(str, wheels)]
    subprocess.run(command, check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    lend(
        closure(each for wheel in wheels for each in described(wheel).requires or () if "extra ==" not in each),
        packages,
    )
    return python


def lend(names: Iterable[str], packages: Path) -> None:
    """Link the files of installed distributions into another environment."""
    for name in set(names) - set(OWN):
        installed = distribution_of(name)
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            # Some distributions share a folder, such as `google`.
            if not (packages / top).exists():
                (packages / top).symlink_to(Path(str(installed.locate_file(top))))
