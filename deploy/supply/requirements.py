"""Direct requirements of packages, ours and third parties'.

Reads the installed packages' metadata, which must match `requirements.lock`.
"""

import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from deploy.lock import ROOT

OWN = {
    f"cinemo-{name}": ROOT / folder / "pyproject.toml"
    for name, folder in {"spec": "cinemo_spec", "core": "cinemo_core", "client": "clients/python"}.items()
}
"""Our own distributions that others depend on."""


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
