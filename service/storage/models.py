"""Models in the storage: published whole or not at all, found by name and revision, fetched by the workers.

A model is `models/<name>/<revision>/<job>-<attempt>/…` in the official layout; its `model.json` is written last, and a
revision without one is not there. Each publication has a place of its own, so that a deletion which is under way takes
none of the files of one that begins meanwhile.
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

from cinemo_spec.training import MODEL_NAME
from service.contract.problems import ModelUnknown, ObjectNotFound, StorageUnavailable
from service.contract.record import DEFAULT_TENANT
from service.storage import ObjectStore

PREFIX = "models/"
RECORD = "model.json"
REVISION = rf"^{MODEL_NAME.strip('^$')}@[0-9a-f]{{12}}$"
"""A reference to one revision: `name@revision`."""
MAX_TOLD = 100
"""Of a name that is none, so much is said again."""
REFERENCE = re.compile(rf"(?P<name>{MODEL_NAME.strip('^$')})(@(?P<revision>[0-9a-f]{{12}}))?")


class Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class ModelFile(Part):
    """One of a model's files, by its path below the model's folder."""

    path: str
    bytes: int
    sha256: str


class PublishedModel(Part):
    """What is known of a model without loading it; `card` is how it wants to be used, its motion scale among it."""

    name: str
    revision: str
    created_at: datetime
    job: str
    tenant: str = DEFAULT_TENANT
    place: str = ""
    """Of this publication, below its revision; empty for those of earlier versions."""
    base_model: str
    card: dict[str, Any]
    files: tuple[ModelFile, ...] = Field(repr=False)

    @property
    def reference(self) -> str:
        """The name by which requests ask for exactly this model."""
        return f"{self.name}@{self.revision}"

    @property
    def folder(self) -> str:
        """Its prefix in the storage."""
        return model_folder(self.tenant, self.name, self.revision, self.place)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def model_folder(tenant: str, *parts: str) -> str:
    """A prefix of the storage: names of the default tenant stand alone, those of others below the tenant's."""
    owner = () if tenant == DEFAULT_TENANT else (f"@{tenant}",)
    return "/".join((PREFIX.rstrip("/"), *owner, *(part for part in parts if part))) + "/"


def usage_item(reference: str) -> str:
    """What `name@revision` is called in its tenant's usage."""
    return f"{PREFIX}{reference}"


@dataclass(frozen=True)
class ModelRegistry:
    """The models of a storage. Every method raises `StorageUnavailable` where it does not answer."""

    storage: ObjectStore

    def published(self, tenant: str, name: str = "") -> list[PublishedModel]:
        """All models of a tenant, or all revisions of one, the newest first."""
        return self._below(model_folder(tenant, name), tenant)

    def find(self, reference: str, tenant: str, field_name: str = "model") -> PublishedModel:
        """A tenant's model `name@revision`, or the newest one of a bare name.

        Raises:
            ModelUnknown: there is none.
        """
        match = REFERENCE.fullmatch(reference)
        if match is None:
            raise ModelUnknown(f"{reference[:MAX_TOLD]!r} is no model's name", field_name)
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
    ) -> PublishedModel:
        """Store a folder as a model; whoever looks meanwhile sees all of it or nothing.

        What earlier attempts at the same job have stored of it goes.
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
        """Write a model's files below a folder.

        Raises:
            StorageUnavailable: a file is not what the model's record says.
        """
        for file in model.files:
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            self.storage.get_file(f"{model.folder}{file.path}", path)
            with path.open("rb") as data:
                if hashlib.file_digest(data, "sha256").hexdigest() != file.sha256:
                    raise StorageUnavailable(f"{model.reference}: {file.path} is not the file that was published")

    def keys(self, reference: str, tenant: str) -> list[str]:
        """All that is stored now of `name@revision`: its records first, so that nobody finds a part of it later."""
        found = self.storage.list(model_folder(tenant, *reference.split("@")))
        return sorted(found, key=lambda key: (not key.endswith(f"/{RECORD}"), key))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove what `keys` gave, and nothing that was stored after it."""
        for key in keys:
            self.storage.delete(key)

    def _below(self, prefix: str, tenant: str) -> list[PublishedModel]:
        """Whole models below a prefix, the newest first, and of one that was published again the newest alone."""
        records = [key for key in self.storage.list(prefix) if key.endswith(f"/{RECORD}")]
        found = [each for each in map(self._read, records) if each and each.tenant == tenant]
        newest = sorted(found, key=lambda model: model.created_at, reverse=True)
        return list({model.reference: model for model in reversed(newest)}.values())[::-1]

    def _read(self, key: str) -> PublishedModel | None:
        try:
            return PublishedModel.model_validate_json(self.storage.get_bytes(key))
        except (ObjectNotFound, ValidationError):
            return None
