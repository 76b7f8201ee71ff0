"""What the images contain: every package's licence is known and listed, and bills of materials are complete."""

import json
from email.message import Message
from importlib.metadata import PackageMetadata
from typing import cast

import pytest

from deploy.lock import EXTRAS, ROOT, locked
from deploy.supply.licences import PAGE, LicenceUnknown, licence_of, with_table
from deploy.supply.sbom import bill

OSI = "License :: OSI Approved"


def package(**fields: str) -> PackageMetadata:
    """A package's metadata, as in its wheel."""
    message = Message()
    message["Name"] = "somebody-s"
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return cast(PackageMetadata, message)


def test_the_licences_page_matches_the_locks() -> None:
    page = PAGE.read_text()
    assert page == with_table(page), "write it anew: .venv/bin/python -m deploy.supply.licences"
    for lock in EXTRAS:
        for name in locked(ROOT / lock):
            assert f"\n| {name} | " in page


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"License_Expression": "MIT OR Apache-2.0", "License": "another"}, "MIT OR Apache-2.0"),
        ({"License": "Apache 2.0 License"}, "Apache-2.0"),
        ({"License": "The whole text of a licence, " * 20, "Classifier": f"{OSI} :: BSD License"}, "BSD"),
        ({"License": "Dual License", "Classifier": f"{OSI} :: Apache Software License"}, "Apache-2.0"),
        ({"License": "MPL-2.0", "Classifier": f"{OSI} :: Mozilla Public License 2.0 (MPL 2.0)"}, "MPL-2.0"),
    ],
)
def test_a_licence_is_read_from_the_most_precise_metadata(fields: dict[str, str], licence: str) -> None:
    assert licence_of(package(**fields)) == licence


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"License_Expression": "GPL-3.0-or-later"},
        {"License_Expression": "MIT AND GPL-2.0-only"},
        {"License": "Proprietary"},
        {"Classifier": f"{OSI} :: GNU Affero General Public License v3"},
    ],
)
def test_an_unreviewed_licence_is_rejected(fields: dict[str, str]) -> None:
    with pytest.raises(LicenceUnknown, match="somebody-s"):
        licence_of(package(**fields))


@pytest.mark.parametrize("lock", EXTRAS)
def test_a_bill_of_materials_lists_each_package_with_licence_and_dependencies(lock: str) -> None:
    made = json.loads(bill(lock))
    assert {(each["name"], each["version"]) for each in made["components"]} == set(locked(ROOT / lock).items())
    assert all(each["licenses"] and each["purl"].startswith("pkg:pypi/") for each in made["components"])
    needs = {each["ref"]: each.get("dependsOn", []) for each in made["dependencies"]}
    names = {each["bom-ref"]: each["name"] for each in made["components"]}
    assert len(needs["image"]) == len(names)
    (starlette,) = (ref for ref, name in names.items() if name == "starlette")
    (fastapi,) = (ref for ref, name in names.items() if name == "fastapi")
    assert starlette in needs[fastapi]
    assert json.loads(bill(lock))["serialNumber"] == made["serialNumber"]
