"""Models in the storage: published atomically, found by name, fetched unchanged."""

import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import httpx
import pytest

from cinemo_core import CinemoPipeline
from cinemo_core.checkpoint import BUILT_IN
from cinemo_core.conversion import convert
from cinemo_spec.card import ModelCard
from service.contract.problems import ModelUnknown, StorageUnavailable
from service.contract.record import DEFAULT_TENANT
from service.contract.settings import Settings
from service.storage import LocalStore
from service.storage.models import ModelRegistry, PublishedModel
from tests.conftest import Api
from tests.jobs import JobStore, new_training, taken
from worker.models import Pipelines

REVISIONS = ("0" * 12, "1" * 12)


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(LocalStore(tmp_path / "store", "http://127.0.0.1:1", "key"))


def find(registry: ModelRegistry, reference: str) -> PublishedModel:
    return registry.find(reference, DEFAULT_TENANT)


def published(registry: ModelRegistry, name: str, revision: str = REVISIONS[0]) -> str:
    """A copy of the built-in model under another name."""
    return registry.publish(BUILT_IN["tiny"], name, revision, "job_1", "tiny").reference


def test_a_model_is_found_by_its_revision_and_its_newest_revision_by_its_name(registry: ModelRegistry) -> None:
    for revision in REVISIONS:
        published(registry, "waves", revision)
    assert find(registry, f"waves@{REVISIONS[0]}").revision == REVISIONS[0]
    assert find(registry, "waves").revision == REVISIONS[1]
    assert [model.revision for model in registry.published(DEFAULT_TENANT)] == [REVISIONS[1], REVISIONS[0]]
    assert find(registry, "waves").card["motion_scale"] == asdict(ModelCard.read(BUILT_IN["tiny"]).motion_scale)


@pytest.mark.parametrize(
    "reference", ["nothing", "waves@" + "2" * 12, "../waves", "waves@../x", "", "waves@x", "Waves"]
)
def test_a_missing_model_is_unknown(registry: ModelRegistry, reference: str) -> None:
    published(registry, "waves")
    with pytest.raises(ModelUnknown) as unknown:
        registry.find(reference, DEFAULT_TENANT, "base_model")
    assert unknown.value.errors[0].pointer == "#/base_model"


def test_a_model_without_its_record_does_not_exist(registry: ModelRegistry) -> None:
    model = find(registry, published(registry, "waves"))
    registry.storage.delete(f"{model.folder}model.json")
    assert registry.published(DEFAULT_TENANT) == []
    with pytest.raises(ModelUnknown):
        find(registry, model.reference)


def test_a_fetched_model_equals_the_published_one_and_a_changed_file_is_detected(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    model = find(registry, published(registry, "waves"))
    registry.fetch(model, tmp_path / "fetched")
    fetched = CinemoPipeline.from_pretrained(tmp_path / "fetched")
    assert fetched.revision == CinemoPipeline.from_pretrained("tiny").revision
    registry.storage.put_bytes(f"{model.folder}vae/config.json", b"{}", "application/json")
    with pytest.raises(StorageUnavailable, match=r"vae/config.json is not the file"):
        registry.fetch(model, tmp_path / "again")


def test_deleting_a_model_deletes_all_its_files_and_no_others(registry: ModelRegistry) -> None:
    one, other = published(registry, "waves"), published(registry, "waves-2")
    registry.delete(registry.keys(one, DEFAULT_TENANT))
    assert [model.reference for model in registry.published(DEFAULT_TENANT)] == [other]
    assert all(key.startswith("models/waves-2/") for key in registry.storage.list("models/"))


@pytest.fixture
def served(api: Api) -> ModelRegistry:
    """The models of a running API."""
    return ModelRegistry(LocalStore(api.storage_folder, api.url, "for tests alone"))


def test_a_deletion_is_of_one_revision_and_repeating_it_deletes_no_other(api: Api, served: ModelRegistry) -> None:
    older, newer = (published(served, "twice", revision) for revision in REVISIONS)
    vague = httpx.delete(f"{api.url}/models/twice")
    assert (vague.status_code, vague.json()["errors"][0]["pointer"]) == (422, "#/model")
    for _ in range(2):
        assert httpx.delete(f"{api.url}/models/{newer}").status_code == 204
    assert find(served, "twice").reference == older
    assert httpx.delete(f"{api.url}/models/{older}").status_code == 204


def test_an_interrupted_deletion_is_completed_by_the_next(api: Api, served: ModelRegistry) -> None:
    model = find(served, published(served, "half"))
    assert JobStore(api.redis).models.delete(DEFAULT_TENANT, model.reference)
    served.storage.delete(f"{model.folder}model.json")
    assert list(served.storage.list(model.folder))
    assert httpx.get(f"{api.url}/models/{model.reference}").status_code == 404
    assert httpx.delete(f"{api.url}/models/{model.reference}").status_code == 204
    assert list(served.storage.list(model.folder)) == []


def test_a_tenant_sees_only_its_own_models(registry: ModelRegistry) -> None:
    own = registry.publish(BUILT_IN["tiny"], "waves", REVISIONS[0], "job_1", "tiny", "acme")
    for reference in ("waves", own.reference):
        assert registry.find(reference, "acme") == own
        with pytest.raises(ModelUnknown):
            registry.find(reference, DEFAULT_TENANT)
    assert registry.published(DEFAULT_TENANT) == registry.published("other") == []


def settings(tmp_path: Path, cache_bytes: int) -> Settings:
    return Settings.model_validate(
        {"url_signing_key": "key", "work_folder": str(tmp_path / "work"), "model_cache_bytes": cache_bytes}
    )


def test_a_worker_keeps_the_most_recently_used_models_that_fit_its_cache(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    one, two, three = (published(registry, name) for name in ("one", "two", "three"))
    size = find(registry, one).bytes
    pipelines = Pipelines(settings(tmp_path, 2 * size), registry)
    first = pipelines.get(one)
    pipelines.get(two)
    assert pipelines.get(one) is first
    pipelines.get(three)
    assert [reference for _, reference in pipelines.published] == [one, three]
    assert pipelines.get(one) is first
    assert pipelines.get("tiny") is pipelines.get("tiny")
    assert list(tmp_path.glob("*-*")) == [], "fetched files do not stay"


def test_a_model_larger_than_the_cache_is_loaded_alone(registry: ModelRegistry, tmp_path: Path) -> None:
    pipelines = Pipelines(settings(tmp_path, 0), registry)
    for name in ("one", "two"):
        reference = published(registry, name)
        pipelines.get(reference)
        assert list(pipelines.published) == [(DEFAULT_TENANT, reference)]


def test_a_converted_model_is_published_like_a_trained_one(registry: ModelRegistry, tmp_path: Path) -> None:
    convert("tiny", tmp_path / "converted")
    model = registry.publish(tmp_path / "converted", "converted", REVISIONS[0], "job_2", "tiny")
    assert Pipelines(settings(tmp_path, 0), registry).get(model.reference).card.name == "tiny"


def test_tenants_with_models_of_the_same_name_each_get_their_own(registry: ModelRegistry, tmp_path: Path) -> None:
    cards = {"acme": 64, "umbra": 128}
    pipelines = Pipelines(settings(tmp_path, 2**30), registry)
    for tenant, width in cards.items():
        folder = Path(shutil.copytree(BUILT_IN["tiny"], tmp_path / tenant))
        replace(ModelCard.read(folder), width=width).write(folder)
        registry.publish(folder, "waves", REVISIONS[0], f"job_{tenant}", "tiny", tenant)
    for _ in range(2):
        found = {tenant: pipelines.get(f"waves@{REVISIONS[0]}", tenant).card.width for tenant in cards}
        assert found == cards


@pytest.mark.parametrize("began_first", ["publication", "deletion"])
def test_deleting_a_model_during_its_publication_leaves_it_whole_or_not_at_all(
    registry: ModelRegistry, store: JobStore, tmp_path: Path, began_first: str
) -> None:
    reference = published(registry, "waves")
    job = taken(store, new_training())

    def publish() -> None:
        with store.models.publishing(job, reference):
            registry.publish(BUILT_IN["tiny"], "waves", REVISIONS[0], job.id, "tiny", job.tenant, job.attempt)

    if began_first == "publication":
        with store.models.publishing(job, reference):
            assert not store.models.delete(job.tenant, reference), "refused, and all stays"
    else:
        doomed = registry.keys(reference, job.tenant)
        assert store.models.delete(job.tenant, reference)
        half = len(doomed) // 2
        registry.delete(doomed[:half])
        publish()
        registry.delete(doomed[half:])
        assert not store.models.is_deleted(job.tenant, reference)
    model = find(registry, reference)
    registry.fetch(model, tmp_path / "fetched")
    assert [each.reference for each in registry.published(job.tenant)] == [reference]
    assert len(registry.storage.list("models/")) == len(model.files) + 1, "and nothing is left over"


def test_another_attempt_at_publishing_replaces_the_files_of_the_first(registry: ModelRegistry) -> None:
    one, two = (registry.publish(BUILT_IN["tiny"], "waves", REVISIONS[0], "job_1", "tiny", attempt=n) for n in (1, 2))
    assert registry.storage.list(one.folder) == {}
    assert find(registry, "waves") == two


def test_a_model_published_by_an_earlier_version_can_be_found_and_deleted(registry: ModelRegistry) -> None:
    model = find(registry, published(registry, "waves"))
    flat = model.model_copy(update={"place": ""})
    for file in model.files:
        registry.storage.copy(f"{model.folder}{file.path}", f"{flat.folder}{file.path}")
    record = flat.model_dump_json(exclude={"place"}).encode()
    registry.storage.delete(model.folder)
    registry.storage.put_bytes(f"{flat.folder}model.json", record, "application/json")
    assert find(registry, model.reference).folder == flat.folder
    registry.delete(registry.keys(model.reference, DEFAULT_TENANT))
    assert registry.storage.list("models/") == {}
