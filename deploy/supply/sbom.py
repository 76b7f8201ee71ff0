"""Writes a CycloneDX bill of materials for each image's lock: every package, its licence, and what needs what.

It has what Python installs of the locks. What the base image has beside that, and the CUDA libraries that come with
PyTorch for NVIDIA, is in the bill that a release attaches to each image as it was built.
"""

import argparse
from importlib.metadata import metadata, version
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from deploy.lock import EXTRAS, ROOT, asked_for, image_of
from deploy.supply.licences import licence_of, locked


class BillInvalid(Exception):
    """What was made is not CycloneDX."""


def main() -> None:
    """Write one file for each image."""
    parser = argparse.ArgumentParser(description="Write the images' bills of materials.")
    parser.add_argument("--folder", type=Path, default=ROOT / "var" / "sbom")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for lock in EXTRAS:
        path = folder / f"cinemo-{image_of(lock)}.cdx.json"
        path.write_text(bill(lock))
        print(path)


def bill(lock: str) -> str:
    """The bill of a lock, as JSON; equal locks have bills with equal serial numbers.

    Raises:
        BillInvalid: it does not keep to the schema.
    """
    found = Bom(serial_number=uuid5(NAMESPACE_URL, f"cinemo/{lock}/{(ROOT / lock).read_text()}"))
    licences = LicenseFactory()
    image = Component(
        name=f"cinemo-{image_of(lock)}",
        version=version("cinemo"),
        type=ComponentType.CONTAINER,
        licenses=[licences.make_with_id("Apache-2.0")],
        bom_ref="image",
    )
    found.metadata.component = image
    components = {name: component(name, number, licences) for name, number in locked(lock)}
    for each in components.values():
        found.components.add(each)
    found.register_dependency(image, components.values())
    for name, each in components.items():
        needed = {canonicalize_name(each.name) for each in asked_for(name)} & set(components)
        found.register_dependency(each, [components[other] for other in sorted(needed - {name})])
    text = JsonV1Dot6(found).output_as_string(indent=2)
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        raise BillInvalid(str(wrong))
    return text + "\n"


def component(name: str, number: str, licences: LicenseFactory) -> Component:
    purl = PackageURL("pypi", name=name, version=number)
    return Component(
        name=name,
        version=number,
        type=ComponentType.LIBRARY,
        licenses=[licences.make_from_string(licence_of(metadata(name)))],
        purl=purl,
        bom_ref=str(purl),
    )


if __name__ == "__main__":
    main()
