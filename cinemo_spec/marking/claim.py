"""Builds C2PA 2 manifests: what a video was made from, and by what.

See sections 18.15 (actions) and 18.16 (ingredients) of the specification. Our own fields begin with `cinemo.`.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cinemo_spec import __version__
from cinemo_spec.marking.statement import SourceType

JOB, PROMPT = "cinemo.job", "cinemo.prompt"


@dataclass(frozen=True)
class Ingredient:
    """A file that a video was made from, identified by its hash, and optionally shown by a thumbnail.

    Attributes:
        sha256: in hexadecimal; None if unknown.
        thumbnail: a small JPEG.
    """

    title: str
    content_type: str
    sha256: str | None
    thumbnail: bytes | None = field(default=None, repr=False)

    @property
    def resource(self) -> str:
        """Name of the thumbnail in the manifest."""
        return f"{self.title}.jpg"

    def described(self, relationship: str) -> dict[str, Any]:
        """The manifest's entry; its instance ID is the hash as a name of RFC 6920."""
        entry: dict[str, Any] = {"title": self.title, "format": self.content_type, "relationship": relationship}
        entry["label"] = self.title
        if self.sha256:
            digest = base64.urlsafe_b64encode(bytes.fromhex(self.sha256)).decode().rstrip("=")
            entry |= {"instance_id": f"ni:///sha-256;{digest}", "description": f"SHA-256 {self.sha256}"}
        if self.thumbnail:
            entry["thumbnail"] = {"format": "image/jpeg", "identifier": self.resource}
        return entry


@dataclass(frozen=True)
class Claim:
    """The facts that a manifest states.

    Attributes:
        photo: the model's input.
        video: the source of an edit.
        prompts: empty unless they may be published.
    """

    source: SourceType
    model: str
    revision: str
    job: str
    made_at: datetime
    photo: Ingredient
    video: Ingredient | None = None
    prompts: Sequence[str] = ()

    @property
    def ingredients(self) -> list[Ingredient]:
        return [self.photo, self.video] if self.video else [self.photo]

    def manifest(self) -> dict[str, Any]:
        """The manifest definition for C2PA's library. The standard requires that an edited video was opened first."""
        made: dict[str, Any] = {
            "action": "c2pa.edited" if self.video else "c2pa.created",
            "when": self.made_at.isoformat(timespec="seconds"),
            "digitalSourceType": self.source.url,
            "softwareAgent": {"name": self.model, "version": self.revision},
            "parameters": {"ingredientIds": [self.photo.title], JOB: self.job},
        }
        if self.prompts:
            made["parameters"][PROMPT] = list(self.prompts)
        actions, ingredients = [made], [self.photo.described("inputTo")]
        if self.video:
            opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": [self.video.title]}}
            actions, ingredients = [opened, made], [self.video.described("parentOf"), *ingredients]
        return {
            "claim_generator_info": [{"name": "Cinemo", "version": __version__}],
            "ingredients": ingredients,
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
        }
