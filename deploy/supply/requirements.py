"""Direct and transitive requirements of packages, ours and third parties'.

Reads the installed packages' metadata, which must match `requirements.lock`.
"""

import tomllib
from collections.abc import Collection, Iterable
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.lock import ROOT

OWN = {
    f"cinemo-{name}": ROOT / folder / "pyproject.toml"
    for name, folder in {"spec": "cinemo_spec", "core": "cinemo_core", "client": "clients/python"}.items()
}
"""Our own distributions that others depend on."""


def closure(requirements: Iterable[str], without: Collection[str] = ()) -> set[str]:
    """Names of these requirements and all their dependencies on a machine like this one.

    Excludes the packages in `without`, and dependencies that only these have.
    """
    found: set[tuple[str, str]] = set()
    pending = [Requirement(each) for each in requirements]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if name not in without and (name, extra) not in found:
                found.add((name, extra))
                pending += requirements_of(name, extra)
    return {name for name, _ in found}


def requirements_of(name: str, extra: str = "") -> list[Requirement]:
    """A package's direct requirements on a machine like this one, including those of an extra."""
    if name in OWN:
        project = read_pyproject(OWN[name])["project"]
        stated = [*project["dependencies"], *project.get("optional-dependencies", {}).get(extra, ())]
    else:
        stated = requires(name) or []
    return [each for each in map(Requirement, stated) if applies(each, extra)]


def read_pyproject(path: Path) -> dict[str, Any]:
    """The contents of a `pyproject.toml`."""
    return tomllib.loads(path.read_text())


def applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})
