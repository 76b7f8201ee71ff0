"""What content credentials say of a video, in the words of C2PA 2: where it comes from, and what made it.

Sections 18.15 (actions) and 18.16 (ingredients) of the specification. Fields of our own begin with `cinemo.`.
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
    """A file that a video was made from, by its hash alone; with `thumbnail`, a small JPEG, by its pixels, too.

    `sha256` in hexadecimal; None where it isn't known.
    """

    title: str
    content_type: str
    sha256: str | None
    thumbnail: bytes | None = field(default=None, repr=False)

    @property
    def resource(self) -> str:
        """Under which the thumbnail is added to the manifest."""
        return f"{self.title}.jpg"

    def described(self, relationship: str) -> dict[str, Any]:
        """As manifests have it; its hash is a name as RFC 6920 defines it."""
        told: dict[str, Any] = {"title": self.title, "format": self.content_type, "relationship": relationship}
        told["label"] = self.title
        if self.sha256:
            digest = base64.urlsafe_b64encode(bytes.fromhex(self.sha256)).decode().rstrip("=")
            told |= {"instance_id": f"ni:///sha-256;{digest}", "description": f"SHA-256 {self.sha256}"}
        if self.thumbnail:
            told["thumbnail"] = {"format": "image/jpeg", "identifier": self.resource}
        return told


@dataclass(frozen=True)
class Claim:
    """`photo` is what the model was given, `video` what an edit changes, `prompts` empty unless they may be told."""

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
        """The definition that C2PA's library signs. A video that is edited was opened first, as the standard asks."""
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
