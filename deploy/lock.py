"""Writes the lock files of the API's and the workers' images, each a subset of `requirements.lock`.

Reads the installed packages' metadata, which must match `requirements.lock`.
"""

import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
EXTRAS: dict[str, tuple[str, ...]] = {"requirements-api.lock": (), "requirements-worker.lock": ("worker",)}
"""The extras that each lock file includes in addition to the project's dependencies."""
OWN = {f"cinemo-{name}": ROOT / f"cinemo_{name}" / "pyproject.toml" for name in ("spec", "core")}
"""Our own distributions that others depend on: images install them from here, and their dependencies from the lock."""
NOT_LOCKED = {"setuptools"}
"""Packages that `pip freeze`, which wrote `requirements.lock`, omits."""


def main() -> None:
    """Write both lock files."""
    for name in EXTRAS:
        (ROOT / name).write_text(part_of_lock(name))


def image_of(name: str) -> str:
    """The image of a lock file: `api` or `worker`."""
    return name.removeprefix("requirements-").removesuffix(".lock")


def part_of_lock(name: str) -> str:
    """The contents of a lock file.

    Raises:
        KeyError: `requirements.lock` lacks a dependency.
    """
    project = project_of(ROOT / "pyproject.toml")
    wanted = [*project["dependencies"]]
    for extra in EXTRAS[name]:
        wanted += project["optional-dependencies"][extra]
    locked: dict[str, str] = {
        canonicalize_name(line.partition("==")[0]): line for line in LOCK.read_text().splitlines()
    }
    lines = [locked[each] for each in closure(wanted) - NOT_LOCKED - set(OWN)]
    return "".join(f"{line}\n" for line in sorted(lines, key=str.lower))


def closure(wanted: Iterable[str]) -> set[str]:
    """Names of these requirements and all their dependencies on a machine like this one."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(each) for each in wanted]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in found:
                found.add((name, extra))
                waiting += requirements_of(name, extra)
    return {name for name, _ in found}


def requirements_of(name: str, extra: str = "") -> list[Requirement]:
    """A package's direct requirements on a machine like this one, including those of an extra."""
    required = project_of(OWN[name])["dependencies"] if name in OWN else requires(name)
    return [each for each in map(Requirement, required or ()) if applies(each, extra)]


def project_of(pyproject: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(pyproject.read_text())["project"]
    return project


def applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


if __name__ == "__main__":
    main()
