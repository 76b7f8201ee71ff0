"""Writes a CycloneDX bill of materials for each image's lock file: every package, its licence and its dependencies.

It covers the Python packages. The base image and the CUDA libraries of PyTorch's NVIDIA build are in the bill that a
release attaches to each image.
"""

from importlib.metadata import metadata, version
from pathlib import Path
from typing import Annotated
from uuid import NAMESPACE_URL, uuid5

import typer
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from deploy.lock import EXTRAS, ROOT, image_of, locked
from deploy.supply.licences import licence_of
from deploy.supply.requirements import requirements_of


class BillInvalid(Exception):
    """The bill violates CycloneDX's schema."""


def write_bills(folder: Annotated[Path, typer.Option(help="Folder for the files.")] = ROOT / "var" / "sbom") -> None:
    """Write a bill of materials for each image."""
    folder.mkdir(parents=True, exist_ok=True)
    for lock in EXTRAS:
        path = folder / f"cinemo-{image_of(lock)}.cdx.json"
        path.write_text(bill(lock))
        print(path)


def bill(lock: str) -> str:
    """The bill of a lock file, as JSON; equal lock files give equal serial numbers.

    Raises:
        BillInvalid: it violates the schema.
    """
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"cinemo/{lock}/{(ROOT / lock).read_text()}"))
    licences = LicenseFactory()
    image = Component(
        name=f"cinemo-{image_of(lock)}",
        version=version("cinemo"),
        type=ComponentType.CONTAINER,
        licenses=[licences.make_with_id("Apache-2.0")],
        bom_ref="image",
    )
    bom.metadata.component = image
    components = {name: component(name, number, licences) for name, number in locked(ROOT / lock).items()}
    for each in components.values():
        bom.components.add(each)
    bom.register_dependency(image, components.values())
    for name, each in components.items():
        needed = {canonicalize_name(each.name) for each in requirements_of(name)} & set(components)
        bom.register_dependency(each, [components[other] for other in sorted(needed - {name})])
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        raise BillInvalid(str(error))
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
    typer.run(write_bills)
