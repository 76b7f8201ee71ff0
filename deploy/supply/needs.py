"""Direct and transitive requirements of packages, our own and others'.

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


def closure(wanted: Iterable[str], without: Collection[str] = ()) -> set[str]:
    """Names of these requirements and all their dependencies on a machine like this one.

    Packages in `without` are excluded, and so are dependencies that only these have.
    """
    found: set[tuple[str, str]] = set()
    waiting = [Requirement(each) for each in wanted]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if name not in without and (name, extra) not in found:
                found.add((name, extra))
                waiting += requirements_of(name, extra)
    return {name for name, _ in found}


def requirements_of(name: str, extra: str = "") -> list[Requirement]:
    """A package's direct requirements on a machine like this one, including those of an extra."""
    if name in OWN:
        project = described(OWN[name])["project"]
        asked = [*project["dependencies"], *project.get("optional-dependencies", {}).get(extra, ())]
    else:
        asked = requires(name) or []
    return [each for each in map(Requirement, asked) if applies(each, extra)]


def described(pyproject: Path) -> dict[str, Any]:
    """The contents of a `pyproject.toml`."""
    return tomllib.loads(pyproject.read_text())


def applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})
