"""Writes the list of docs/licences.md: each package of the images' locks, and its licence as its metadata says.

Knows the packages that are installed here, which are those of `requirements.lock`; what is inside of their wheels the
page says by hand.
"""

import re
from importlib.metadata import PackageMetadata, metadata

from packaging.utils import canonicalize_name

from deploy.lock import EXTRAS, ROOT, image_of
from deploy.marks import write_between

PAGE = ROOT / "docs" / "licences.md"
BEGIN, END = "<!-- written by `python -m deploy.supply.licences` -->", "<!-- until here -->"
CLASSIFIER = "License :: "

SPDX = {
    "Apache": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "New BSD": "BSD-3-Clause",
    "BSD License": "BSD",
    "ISC License": "ISC",
    "MIT License": "MIT",
}
"""Names that metadata has, by what SPDX calls them; `BSD` alone leaves open which one."""

PERMISSIVE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-CMU", "PSF-2.0", "Zlib",
}  # fmt: skip
"""May be given on with a notice."""
COPYLEFT_BY_FILE = {"MPL-2.0"}
"""May be given on; changes to their own files must be, too. We change none."""
ACCEPTED = PERMISSIVE | COPYLEFT_BY_FILE

NAME_LETTERS = 40
"""A longer text is a licence, not its name."""


class LicenceUnknown(Exception):
    """A package does not say its licence in a way that is understood here."""


def main() -> None:
    """Write the list anew."""
    PAGE.write_text(with_list(PAGE.read_text()))


def with_list(page: str) -> str:
    """The page with its list as the locks have it now."""
    rows = [f"| {name} | {licence} | {', '.join(images)} |" for name, (licence, images) in packages().items()]
    table = "\n".join(["| package | licence | image |", "| --- | --- | --- |", *rows])
    return write_between(page, BEGIN, END, f"\n{table}\n")


def packages() -> dict[str, tuple[str, list[str]]]:
    """Licence and images by a package's name, in the order of the alphabet."""
    images: dict[str, list[str]] = {}
    for lock in EXTRAS:
        for name, _ in locked(lock):
            images.setdefault(name, []).append(image_of(lock))
    return {name: (licence_of(metadata(name)), images[name]) for name in sorted(images)}


def locked(lock: str) -> list[tuple[str, str]]:
    """Names and versions in a lock."""
    lines = (ROOT / lock).read_text().splitlines()
    return [(canonicalize_name(name), version) for name, _, version in (line.partition("==") for line in lines)]


def licence_of(package: PackageMetadata) -> str:
    """An SPDX expression, or `BSD`.

    Raises:
        LicenceUnknown: it is none that is accepted here.
    """
    said = stated(package)
    parts = {part.strip("() ") for part in re.split(r" AND | OR ", said)}
    if not said or parts - ACCEPTED:
        raise LicenceUnknown(f"{package['Name']}: {said or 'no licence'}; see docs/licences.md before it is accepted")
    return said


def stated(package: PackageMetadata) -> str:
    """What metadata says: by its expression, else by its licence's name, else by classifiers."""
    expression, name = first(package, "License-Expression"), first(package, "License")
    if expression:
        return expression
    if name and (name in SPDX or name in ACCEPTED or " AND " in name) and len(name) <= NAME_LETTERS:
        return SPDX.get(name, name)
    classifiers = [each for each in package.get_all("Classifier") or () if each.startswith(CLASSIFIER)]
    names = [re.sub(r" \(.*\)$", "", each.rpartition(" :: ")[2]) for each in classifiers]
    return " OR ".join(SPDX.get(each, each) for each in names) or name[:NAME_LETTERS]


def first(package: PackageMetadata, field: str) -> str:
    return next(iter(package.get_all(field) or ()), "").strip()


if __name__ == "__main__":
    main()
