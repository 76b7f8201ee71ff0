"""Writes the table in docs/licences.md: each package in the images' lock files, with the licence in its metadata.

Reads the installed packages, which are those of `requirements.lock`. The page's other text covers what their wheels
contain.
"""

import re
from importlib.metadata import PackageMetadata, metadata

from deploy.lock import EXTRAS, ROOT, image_of, locked
from deploy.markers import replace_section

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
"""SPDX names by names in metadata; `BSD` alone does not state the variant."""

PERMISSIVE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Zlib",
}  # fmt: skip
"""May be redistributed with a notice."""
FILE_COPYLEFT = {"MPL-2.0"}
"""May be redistributed; changes to their files must be, too. We change none."""
ACCEPTED = PERMISSIVE | FILE_COPYLEFT

MAX_NAME_CHARACTERS = 40
"""A longer text is the licence itself, not its name."""


class LicenceUnknown(Exception):
    """A package's metadata states no licence, or one that is not accepted."""


def main() -> None:
    """Update the table."""
    PAGE.write_text(with_table(PAGE.read_text()))


def with_table(page: str) -> str:
    """The page with its table updated from the lock files."""
    rows = [f"| {name} | {licence} | {', '.join(images)} |" for name, (licence, images) in packages().items()]
    table = "\n".join(["| package | licence | image |", "| --- | --- | --- |", *rows])
    return replace_section(page, BEGIN, END, f"\n{table}\n")


def packages() -> dict[str, tuple[str, list[str]]]:
    """Licence and images by package name, sorted."""
    images: dict[str, list[str]] = {}
    for lock in EXTRAS:
        for name in locked(ROOT / lock):
            images.setdefault(name, []).append(image_of(lock))
    return {name: (licence_of(metadata(name)), images[name]) for name in sorted(images)}


def licence_of(package: PackageMetadata) -> str:
    """An SPDX expression, or `BSD`.

    Raises:
        LicenceUnknown: the licence is missing or not accepted.
    """
    licence = stated_licence(package)
    names = {name.strip("() ") for name in re.split(r" AND | OR ", licence)}
    if not licence or names - ACCEPTED:
        raise LicenceUnknown(f"{package['Name']}: {licence or 'no licence'}; see docs/licences.md before accepting it")
    return licence


def stated_licence(package: PackageMetadata) -> str:
    """The licence in the metadata: its expression, else its name, else its classifiers."""
    expression, name = first(package, "License-Expression"), first(package, "License")
    if expression:
        return expression
    if name and (name in SPDX or name in ACCEPTED or " AND " in name) and len(name) <= MAX_NAME_CHARACTERS:
        return SPDX.get(name, name)
    classifiers = [each for each in package.get_all("Classifier") or () if each.startswith(CLASSIFIER)]
    names = [re.sub(r" \(.*\)$", "", each.rpartition(" :: ")[2]) for each in classifiers]
    return " OR ".join(SPDX.get(each, each) for each in names) or name[:MAX_NAME_CHARACTERS]


def first(package: PackageMetadata, field: str) -> str:
    return next(iter(package.get_all(field) or ()), "").strip()


if __name__ == "__main__":
    main()
