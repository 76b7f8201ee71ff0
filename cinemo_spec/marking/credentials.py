"""Reads a file's content credentials, and validates signature, integrity and trust."""

import mmap
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from cinemo_spec.marking.claim import JOB
from cinemo_spec.marking.signing import CONTENT_TYPES, SETTINGS, library

EMBEDDED = b"jumdc2pa"
"""Start of a manifest store (ISO 19566-5): a description box of C2PA's type."""
UNTRUSTED = "signingCredential.untrusted"
EXPIRED = ("signingCredential.expired", "claimSignature.outsideValidity")


class State(Enum):
    """State of a file relative to its signed credentials."""

    INTACT = "intact"
    CHANGED = "changed"
    EXPIRED = "expired"
    INVALID = "invalid"


@dataclass(frozen=True)
class Credentials:
    """Contents and validity of credentials; `trusted` is None without trust anchors, `problems` are C2PA's codes."""

    state: State
    problems: tuple[str, ...] = ()
    signer: str = ""
    trusted: bool | None = None
    source_types: tuple[str, ...] = ()
    program: str = ""
    model: str = ""
    job: str = ""
    made_at: str = ""
    ingredients: tuple[str, ...] = ()


def has_credentials(path: Path) -> bool:
    """Whether a file contains anything like C2PA credentials; needs no library and proves nothing."""
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(EMBEDDED) >= 0


def read_credentials(path: Path, sidecar: Path | None = None, anchors: str | None = None) -> Credentials | None:
    """The credentials in a file or its sidecar; None if there are none. `anchors` are PEM certificates.

    Raises:
        SigningUnavailable: the library isn't installed.
    """
    c2pa = library()
    manifest = sidecar.read_bytes() if sidecar else None
    if manifest is None and not has_credentials(path):
        return None
    trust = {**SETTINGS["trust"], **({"user_anchors": anchors} if anchors else {})}
    try:
        with (
            c2pa.Settings.from_dict({**SETTINGS, "trust": trust}) as settings,
            c2pa.Context(settings) as context,
            path.open("rb") as file,
            c2pa.Reader(CONTENT_TYPES.get(path.suffix.lower()), file, manifest, context=context) as reader,
        ):
            manifest_read, results = reader.get_active_manifest(), reader.get_validation_results()
    except c2pa.C2paError as error:
        return Credentials(State.INVALID, (str(error),))
    failures = tuple(dict.fromkeys(each["code"] for each in results["activeManifest"]["failure"]))
    problems = tuple(each for each in failures if each != UNTRUSTED)
    return described(
        manifest_read, state_of(problems), problems, None if anchors is None else UNTRUSTED not in failures
    )


def state_of(problems: tuple[str, ...]) -> State:
    if not problems:
        return State.INTACT
    if any(code.endswith(("mismatch", "missing")) for code in problems):
        return State.CHANGED
    return State.EXPIRED if all(code in EXPIRED for code in problems) else State.INVALID


def described(manifest: dict[str, Any], state: State, problems: tuple[str, ...], trusted: bool | None) -> Credentials:
    """Extract the credentials from a manifest, which anyone may have written: any part may be missing."""
    actions = [
        action
        for assertion in manifest.get("assertions", ())
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"].get("actions", ())
    ]
    made: dict[str, Any] = next((action for action in reversed(actions) if "digitalSourceType" in action), {})
    agent = made.get("softwareAgent", {})
    signature = manifest.get("signature_info", {})
    generators = manifest.get("claim_generator_info") or [{}]
    return Credentials(
        state,
        problems,
        signer=signature.get("common_name") or signature.get("issuer") or "",
        trusted=trusted,
        source_types=tuple(dict.fromkeys(each["digitalSourceType"] for each in actions if "digitalSourceType" in each)),
        program=versioned(generators[0]),
        model=versioned(agent) if isinstance(agent, dict) else str(agent),
        job=str(made.get("parameters", {}).get(JOB, "")),
        made_at=str(made.get("when", "")),
        ingredients=tuple(
            ", ".join(filter(None, (each.get("title"), each.get("description"))))
            for each in manifest.get("ingredients", ())
        ),
    )


def versioned(program: dict[str, Any]) -> str:
    """A name, and its version if it has one."""
    return " ".join(str(program[each]) for each in ("name", "version") if program.get(each))
