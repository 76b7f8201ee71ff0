"""Writes the locks of the images, each a part of `requirements.lock`: what the front needs, and what a worker needs.

Knows the packages that are installed here, which are those of `requirements.lock`.
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
"""Each lock by the extras that it holds beside the project's own dependencies."""
OWN = {f"cinemo-{name}": ROOT / f"cinemo_{name}" / "pyproject.toml" for name in ("spec", "core")}
"""Our distributions that others of ours depend on: images install them from here, and of a lock only what they need."""
NOT_LOCKED = {"setuptools"}
"""What `pip freeze`, which made the whole lock, leaves out."""


def main() -> None:
    """Write both."""
    for name in EXTRAS:
        (ROOT / name).write_text(part_of_lock(name))


def image_of(name: str) -> str:
    """The image that one of the locks is for: `api`, `worker`."""
    return name.removeprefix("requirements-").removesuffix(".lock")


def part_of_lock(name: str) -> str:
    """The contents of one of the locks.

    Raises:
        KeyError: something that it needs is not in `requirements.lock`.
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
    """Names of what these requirements lead to on a machine like this one, themselves included."""
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(each) for each in wanted]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in found:
                found.add((name, extra))
                waiting += asked_for(name, extra)
    return {name for name, _ in found}


def asked_for(name: str, extra: str = "") -> list[Requirement]:
    """What a package itself requires on a machine like this one, one of its extras included."""
    asked = project_of(OWN[name])["dependencies"] if name in OWN else requires(name)
    return [each for each in map(Requirement, asked or ()) if applies(each, extra)]


def project_of(pyproject: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(pyproject.read_text())["project"]
    return project


def applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


if __name__ == "__main__":
    main()
