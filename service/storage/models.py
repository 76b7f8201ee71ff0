"""Published models in the storage: written atomically, found by name and revision, downloaded by workers.

A model is `models/<name>/<revision>/<job>-<attempt>/…` in the official layout. Its `model.json` is written last; a
revision without one does not exist. Each publication has its own folder, so deleting one never deletes files of another
that starts meanwhile.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cinemo_spec.card import Base
from cinemo_spec.distillation import Comparison
from cinemo_spec.training import MODEL_NAME
from service.contract.problems import ModelUnknown, ObjectNotFound, StorageUnavailable
from service.contract.record import DEFAULT_TENANT
from service.storage import ObjectStore

PREFIX = "models/"
RECORD = "model.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
REVISION = rf"^{MODEL_NAME.strip('^$')}@[0-9a-f]{{12}}$"
"""A reference to one revision: `name@revision`."""
MAX_QUOTED_CHARACTERS = 100
"""Of an invalid name, in the error."""
REFERENCE = re.compile(rf"(?P<name>{MODEL_NAME.strip('^$')})(@(?P<revision>[0-9a-f]{{12}}))?")


class ModelFile(BaseModel):
    """One of a model's files; `path` is relative to the model's folder."""

    model_config = ConfigDict(frozen=True)

    path: str
    bytes: int
    sha256: str


class PublishedModel(BaseModel):
    """What `model.json` records; `card` is the model card, with its recommended settings and motion scale, `comparison`
    that of a distilled model with its teacher."""

    model_config = ConfigDict(frozen=True)

    name: str
    revision: str
    created_at: datetime
    job: str
    tenant: str = DEFAULT_TENANT
    place: str = ""
    """Folder of this publication below its revision; empty if published by an earlier version of the service."""
    base_model: str
    card: dict[str, Any]
    comparison: Comparison | None = None
    files: tuple[ModelFile, ...] = Field(repr=False)

    @property
    def reference(self) -> str:
        """The name with which requests select exactly this model."""
        return f"{self.name}@{self.revision}"

    @property
    def folder(self) -> str:
        """The model's prefix in the storage."""
        return model_folder(self.tenant, self.name, self.revision, self.place)

    @property
    def base(self) -> Base | None:
        """The base of an adapter; None for a full model."""
        return Base(**self.card["base"]) if self.card.get("base") else None

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def loaded_bytes(self) -> int:
        """Size of the files that a worker loads; an adapter has the same weights for several programs, too."""
        return sum(file.bytes for file in self.files if file.path == ADAPTER_WEIGHTS or not self.base)


def model_folder(tenant: str, *parts: str) -> str:
    """A prefix in the storage: directly below `models/` for the default tenant, else below `models/@<tenant>/`."""
    owner = () if tenant == DEFAULT_TENANT else (f"@{tenant}",)
    return "/".join((PREFIX.rstrip("/"), *owner, *(part for part in parts if part))) + "/"


def stored_item(reference: str) -> str:
    """The name of `name@revision` among what is stored for its tenant."""
    return f"{PREFIX}{reference}"


@dataclass(frozen=True)
class ModelRegistry:
    """The models of a storage. Every method raises `StorageUnavailable` if the storage fails."""

    storage: ObjectStore

    def published(self, tenant: str, name: str = "") -> list[PublishedModel]:
        """All models of a tenant, or all revisions of one, newest first."""
        return self._below(model_folder(tenant, name), tenant)

    def find(self, reference: str, tenant: str, field_name: str = "model") -> PublishedModel:
        """A tenant's model `name@revision`, or the newest revision for a bare name.

        Raises:
            ModelUnknown: there is none.
        """
        match = REFERENCE.fullmatch(reference)
        if match is None:
            raise ModelUnknown(f"{reference[:MAX_QUOTED_CHARACTERS]!r} is not a valid model name", field_name)
        name, revision = match["name"], match["revision"]
        if revision:
            found = next(iter(self._below(model_folder(tenant, name, revision), tenant)), None)
        else:
            found = next(iter(self.published(tenant, name)), None)
        if found is None:
            raise ModelUnknown(f"there is no model {reference}; GET /models lists them", field_name)
        return found

    def publish(
        self,
        folder: Path,
        name: str,
        revision: str,
        job: str,
        base_model: str,
        tenant: str = DEFAULT_TENANT,
        attempt: int = 1,
        comparison: Comparison | None = None,
    ) -> PublishedModel:
        """Store a folder as a model, which is visible only once it is complete.

        Files stored by earlier attempts at the same job are deleted.
        """
        model = PublishedModel(
            name=name,
            revision=revision,
            created_at=datetime.now(UTC),
            job=job,
            tenant=tenant,
            place=f"{job}-{attempt}",
            base_model=base_model,
            card=json.loads((folder / "cinemo.json").read_text()),
            comparison=comparison,
            files=(),
        )
        for earlier in range(1, attempt):
            self.storage.delete(f"{model_folder(tenant, name, revision, f'{job}-{earlier}')}")
        files = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            relative = path.relative_to(folder).as_posix()
            stored = self.storage.put_file(f"{model.folder}{relative}", path, "application/octet-stream")
            files.append(ModelFile(path=relative, bytes=stored.bytes, sha256=stored.sha256))
        model = model.model_copy(update={"files": tuple(files)})
        record = model.model_dump_json(indent=2).encode()
        self.storage.put_bytes(f"{model.folder}{RECORD}", record, "application/json")
        return model

    def fetch(self, model: PublishedModel, folder: Path) -> None:
        """Download a model's files into a folder.

        Raises:
            StorageUnavailable: a file's checksum differs from the one in `model.json`.
        """
        for file in model.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            self.storage.get_file(f"{model.folder}{file.path}", path)
            with path.open("rb") as data:
                if hashlib.file_digest(data, "sha256").hexdigest() != file.sha256:
                    raise StorageUnavailable(f"{model.reference}: {file.path} is not the file that was published")

    def keys(self, reference: str, tenant: str) -> list[str]:
        """All keys of `name@revision`, `model.json` first, so that the model disappears before its files do."""
        found = self.storage.list(model_folder(tenant, *reference.split("@")))
        return sorted(found, key=lambda key: (not key.endswith(f"/{RECORD}"), key))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete keys returned by `keys`, and nothing stored since."""
        for key in keys:
            self.storage.delete(key)

    def _below(self, prefix: str, tenant: str) -> list[PublishedModel]:
        """Complete models below a prefix, newest first; only the latest publication of each revision."""
        records = [key for key in self.storage.list(prefix) if key.endswith(f"/{RECORD}")]
        found = [each for each in map(self._read, records) if each and each.tenant == tenant]
        newest = sorted(found, key=lambda model: model.created_at, reverse=True)
        return list({model.reference: model for model in reversed(newest)}.values())[::-1]

    def _read(self, key: str) -> PublishedModel | None:
        try:
            return PublishedModel.model_validate_json(self.storage.get_bytes(key))
        except (ObjectNotFound, ValidationError):
            return None
