"""Transitive requirements of packages, ours and third parties'."""

from collections.abc import Collection, Iterable

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.supply.requirements import requirements_of


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
