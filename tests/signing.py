"""Signing keys for tests, and the verdict of C2PA's own library with its own defaults."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import c2pa

from cinemo_spec.marking.claim import Claim, Ingredient
from cinemo_spec.marking.development import DevelopmentKey, make_development_key
from cinemo_spec.marking.keys import now
from cinemo_spec.marking.statement import SourceType

PHOTO = Ingredient("photo", "image/jpeg", "ab" * 32)
VIDEO = Ingredient("video", "video/mp4", "cd" * 32)
UNTRUSTED = "signingCredential.untrusted"


def new_key(name: str = "Tester", days: int = 30) -> DevelopmentKey:
    """A key that has been valid for a minute."""
    return make_development_key(name, now() - timedelta(minutes=1), days)


def expired_key() -> DevelopmentKey:
    """A key that was valid for a day, until yesterday."""
    return make_development_key("Tester", now() - timedelta(days=2), 1)


def claim(source: SourceType = SourceType.CREATED) -> Claim:
    video = VIDEO if source is SourceType.EDITED else None
    return Claim(source, "tiny", "0123456789ab", "job_1", now(), PHOTO, video)


@dataclass(frozen=True)
class Verdict:
    """`state` is `Valid`, `Invalid`, or None without credentials; `failures` are C2PA's codes."""

    state: str | None
    failures: set[str]
    manifest: dict[str, Any]

    @property
    def actions(self) -> list[dict[str, Any]]:
        found = [each for each in self.manifest["assertions"] if each["label"] == "c2pa.actions.v2"]
        return list(found[0]["data"]["actions"])


def verdict(path: Path, content_type: str, sidecar: bytes | None = None) -> Verdict:
    """The verdict of the published library, which can't read WebM."""
    if sidecar is None and content_type == "video/webm":
        return Verdict(None, set(), {})
    with path.open("rb") as file:
        reader = c2pa.Reader.try_create(content_type, file, sidecar)
        if reader is None:
            return Verdict(None, set(), {})
        with reader:
            failures = {each["code"] for each in reader.get_validation_results()["activeManifest"]["failure"]}
            return Verdict(reader.get_validation_state(), failures, reader.get_active_manifest())
