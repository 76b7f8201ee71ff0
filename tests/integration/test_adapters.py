"""Adapters in the service: workers share their base, requests weigh them, and a base outlives its adapters."""

import base64
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import torch

from cinemo_core import CheckpointError
from cinemo_core.checkpoint import BUILT_IN, revision
from cinemo_spec.card import Base, ModelCard
from cinemo_spec.parameters import AdapterChoice
from service.contract.problems import ModelUnknown
from service.contract.record import DEFAULT_TENANT
from service.contract.settings import Settings
from service.storage import LocalStore
from service.storage.models import ModelRegistry
from tests.adapters import random_adapter
from tests.conftest import Api
from tests.jobs import JobStore
from tests.pictures import small_png
from worker.models import Pipelines

TINY = Base("tiny", revision(BUILT_IN["tiny"]))


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(LocalStore(tmp_path / "store", "http://127.0.0.1:1", "key"))


@pytest.fixture
def served(api: Api) -> ModelRegistry:
    """The models of a running API."""
    return ModelRegistry(LocalStore(api.storage_folder, api.url, "for tests alone"))


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the built-in model."""
    return random_adapter(tmp_path_factory.mktemp("adapters") / "waves")


def publish(
    registry: ModelRegistry, adapter: Path, name: str, base: Base = TINY, tenant: str = DEFAULT_TENANT, **card: Any
) -> str:
    """Publish an adapter with another name, base or card; returns its reference."""
    with TemporaryDirectory() as place:
        folder = Path(shutil.copytree(adapter, Path(place, name)))
        replace(ModelCard.read(folder), **{"name": name, "base": base, **card}).write(folder)
        return registry.publish(folder, name, revision(folder), "job_1", base.model, tenant).reference


def publish_base(registry: ModelRegistry, folder: Path, tenant: str = DEFAULT_TENANT) -> Base:
    """Publish a full model, which differs from the built-in one in its card."""
    shutil.copytree(BUILT_IN["tiny"], folder)
    replace(ModelCard.read(folder), name="birds").write(folder)
    made = revision(folder)
    return Base(registry.publish(folder, "birds", made, "job_0", "tiny", tenant).reference, made)


def pipelines_of(registry: ModelRegistry, tmp_path: Path, cache_bytes: int = 2**30, **changes: Any) -> Pipelines:
    fields = {"url_signing_key": "key", "work_folder": str(tmp_path / "work"), "model_cache_bytes": cache_bytes}
    return Pipelines(Settings.model_validate({**fields, **changes}), registry)


def places(pipe: Any) -> set[int]:
    return {value.data_ptr() for value in pipe.unet.state_dict().values()}


def test_a_worker_loads_one_base_whichever_adapters_its_jobs_use(
    registry: ModelRegistry, adapter: Path, tmp_path: Path
) -> None:
    over_tiny = [publish(registry, adapter, name, num_inference_steps=4) for name in ("one", "two")]
    base = publish_base(registry, tmp_path / "birds")
    over_birds = publish(registry, adapter, "three", base)
    pipelines = pipelines_of(registry, tmp_path)
    tiny, birds = pipelines.get("tiny"), pipelines.get(base.model)
    before = places(tiny)
    for reference in over_tiny:
        pipe = pipelines.get(reference)
        assert pipe.unet is tiny.unet
        assert (pipe.card.num_inference_steps, pipe.revision) == (4, reference.partition("@")[2])
        pipe.adapted_unet()
    mixed = pipelines.get("tiny", adapters=[AdapterChoice(model=each, weight=0.5) for each in over_tiny])
    assert mixed.card == tiny.card
    assert places(mixed) == before
    other = pipelines.get(over_birds)
    assert other.unet is birds.unet
    assert other.unet is not tiny.unet


@pytest.mark.parametrize("compiled", [False, True])
def test_a_job_without_adapters_gets_the_unmodified_base(
    registry: ModelRegistry, adapter: Path, tmp_path: Path, compiled: bool
) -> None:
    reference = publish(registry, adapter, "one")
    pipelines = pipelines_of(registry, tmp_path, compile_unet=compiled)
    before = {name: value.clone() for name, value in pipelines.get("tiny").adapted_unet().state_dict().items()}
    adapted = pipelines.get(reference).adapted_unet().state_dict()
    assert any(not torch.equal(value, before[name]) for name, value in adapted.items())
    again = pipelines.get("tiny").adapted_unet()
    assert all(torch.equal(value, before[name]) for name, value in again.state_dict().items())
    assert (again._compiled_call_impl is not None) == compiled


def test_adapters_count_by_their_own_bytes_and_are_evicted_least_recently_used_first(
    registry: ModelRegistry, adapter: Path, tmp_path: Path
) -> None:
    references = [publish(registry, adapter, name) for name in ("one", "two", "three")]
    size = (adapter / "adapter_model.safetensors").stat().st_size
    pipelines = pipelines_of(registry, tmp_path, 2 * size)
    for reference in (references[0], references[1], references[0], references[2]):
        pipelines.get(reference)
    assert [reference for _, reference in pipelines.published] == [references[0], references[2]]
    assert sum(size for _, size in pipelines.published.values()) == 2 * size
    assert size < registry.find(references[0], DEFAULT_TENANT).bytes


def test_a_worker_rejects_an_adapter_of_another_version_of_its_base(
    registry: ModelRegistry, adapter: Path, tmp_path: Path
) -> None:
    stale = publish(registry, adapter, "stale", Base("tiny", "0123456789ab"))
    pipelines = pipelines_of(registry, tmp_path)
    for given in ((stale, ()), ("tiny", [AdapterChoice(model=stale)])):
        with pytest.raises(CheckpointError, match="was trained on tiny, revision 0123456789ab"):
            pipelines.get(given[0], adapters=given[1])
    with pytest.raises(CheckpointError, match="is a full model, not an adapter"):
        pipelines.get("tiny", adapters=[AdapterChoice(model="tiny")])


def test_the_services_own_model_may_be_an_adapter(registry: ModelRegistry, tmp_path: Path) -> None:
    base = Path(shutil.copytree(BUILT_IN["tiny"], tmp_path / "base"))
    own = str(random_adapter(tmp_path / "own", base))
    pipelines = pipelines_of(registry, tmp_path, model=own)
    pipe = pipelines.get(own)
    assert pipe.card.name == "own"
    assert pipelines.get(own).unet is pipe.unet
    assert pipelines.get("tiny").unet is not pipe.unet


def test_an_adapter_of_another_tenant_is_unknown_to_workers_too(
    registry: ModelRegistry, adapter: Path, tmp_path: Path
) -> None:
    reference = publish(registry, adapter, "waves", tenant="acme")
    pipelines = pipelines_of(registry, tmp_path)
    assert pipelines.get(reference, "acme").card.name == "waves"
    with pytest.raises(ModelUnknown):
        pipelines.get(reference, "umbra")
    base = publish_base(registry, tmp_path / "birds", "acme")
    stolen = publish(registry, adapter, "stolen", base, tenant="umbra")
    with pytest.raises(ModelUnknown):
        pipelines.get(stolen, "umbra")


def post(api: Api, **fields: Any) -> httpx.Response:
    photo = base64.b64encode(small_png()).decode()
    return httpx.post(f"{api.url}/animate", json={"image_base64": photo, "prompt": "pan left", **fields})


def request_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    request: dict[str, Any] = answer.json()["request"]
    return request


def test_the_revisions_and_defaults_of_a_requests_adapters_are_filled_in(
    api: Api, served: ModelRegistry, adapter: Path
) -> None:
    waves = publish(served, adapter, "waves", num_inference_steps=4, guidance_scale=1.0)
    wind = publish(served, adapter, "wind")
    request = request_of(post(api, model="waves", adapters=[{"model": "wind", "weight": 0.7}]))
    assert request["model"] == waves
    assert request["adapters"] == [{"model": wind, "weight": 0.7}]
    assert (request["num_inference_steps"], request["guidance_scale"]) == (4, 1.0)
    request = request_of(post(api, adapters=[{"model": "waves"}]))
    assert (request["model"], request["num_inference_steps"]) == ("tiny", 20), "the base's, if that is the model"
    assert request["adapters"] == [{"model": waves, "weight": 1.0}]


@pytest.mark.parametrize(
    "written", ["waves=0.7,wind", '["waves=0.7", "wind"]', '[{"model": "waves", "weight": 0.7}, "wind"]']
)
def test_a_form_can_name_adapters_as_text(api: Api, served: ModelRegistry, adapter: Path, written: str) -> None:
    waves, wind = (publish(served, adapter, name) for name in ("waves", "wind"))
    data = {"prompt": "pan left", "adapters": written}
    request = request_of(httpx.post(f"{api.url}/animate", data=data, files={"image": small_png()}))
    assert request["adapters"] == [{"model": waves, "weight": 0.7}, {"model": wind, "weight": 1.0}]


@pytest.mark.parametrize(
    ("adapters", "pointer", "reported"),
    [
        ([{"model": "nothing"}], "#/adapters/0/model", "there is no model nothing"),
        ([{"model": "waves"}, {"model": "tiny"}], "#/adapters/1/model", "tiny is a full model, not an adapter"),
        ([{"model": "waves"}, {"model": "other"}], "#/adapters/1/model", "can't be used with tiny"),
        ([{"model": "theirs"}], "#/adapters/0/model", "there is no model theirs"),
        ([{"model": "waves", "weight": 2.5}], "#/adapters/0/weight", "at most 2"),
        ([{"model": "waves", "strength": 1}], "#/adapters/0/strength", "unknown field"),
        (["waves=much"], "#/adapters/0", "'much' is not a number"),
        ([{"model": "waves"}] * 5, "#/adapters", "at most 4"),
        ({"waves": 1}, "#/adapters", "an array"),
    ],
)
def test_unusable_adapters_are_rejected_with_their_index(
    api: Api, served: ModelRegistry, adapter: Path, tmp_path: Path, adapters: object, pointer: str, reported: str
) -> None:
    publish(served, adapter, "waves")
    publish(served, adapter, "other", publish_base(served, tmp_path / "birds"))
    publish(served, adapter, "theirs", tenant="acme")
    answer = post(api, adapters=adapters)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert reported in error["detail"]


def test_an_adapter_whose_base_was_deleted_is_rejected(api: Api, served: ModelRegistry, adapter: Path) -> None:
    publish(served, adapter, "lost", Base("gone@0123456789ab", "0123456789ab"))
    answer = post(api, model="lost")
    assert (answer.status_code, answer.json()["code"]) == (422, "INPUT.MODEL.UNKNOWN")
    assert "gone@0123456789ab" in answer.json()["detail"]


def test_the_list_of_models_includes_adapters_and_their_bases(api: Api, served: ModelRegistry, adapter: Path) -> None:
    reference = publish(served, adapter, "waves")
    models = {each["model"]: each for each in httpx.get(f"{api.url}/models").json()["models"]}
    assert (models["tiny"]["kind"], models["tiny"]["base"]) == ("model", None)
    assert models[reference]["kind"] == "adapter"
    assert models[reference]["base"] == {"model": "tiny", "revision": TINY.revision}


def test_a_base_is_deleted_only_after_its_adapters_and_an_adapter_after_its_jobs(
    api: Api, served: ModelRegistry, adapter: Path, tmp_path: Path
) -> None:
    base = publish_base(served, tmp_path / "birds")
    waves, wind = (publish(served, adapter, name, base) for name in ("waves", "wind"))
    refused = httpx.delete(f"{api.url}/models/{base.model}")
    assert (refused.status_code, refused.json()["code"]) == (409, "MODEL.IS_BASE")
    assert all(each in refused.json()["detail"] for each in (waves, wind))
    job = post(api, model="waves", adapters=[{"model": "wind"}]).json()
    for each in (waves, wind):
        refused = httpx.delete(f"{api.url}/models/{each}")
        assert (refused.status_code, refused.json()["code"]) == (409, "MODEL.IN_USE")
    assert httpx.post(f"{api.url}/jobs/{job['id']}/cancel").json()["status"] == "canceled"
    for each in (waves, wind, base.model):
        assert httpx.delete(f"{api.url}/models/{each}").status_code == 204
    assert not served.published(DEFAULT_TENANT)


def test_a_base_is_not_deleted_if_an_adapter_was_published_meanwhile(
    api: Api, served: ModelRegistry, adapter: Path, tmp_path: Path
) -> None:
    base = publish_base(served, tmp_path / "birds")
    store = JobStore(api.redis)
    assert store.models.delete(DEFAULT_TENANT, base.model)
    publish(served, adapter, "waves", base)
    assert httpx.delete(f"{api.url}/models/{base.model}").status_code == 409
    store.models.restore(DEFAULT_TENANT, base.model)
    assert post(api, model="waves").status_code == 202


def test_a_job_with_an_adapter_that_is_being_deleted_is_refused(api: Api, served: ModelRegistry, adapter: Path) -> None:
    waves = publish(served, adapter, "waves")
    store = JobStore(api.redis)
    assert store.models.delete(DEFAULT_TENANT, waves)
    answer = post(api, adapters=[{"model": "waves"}])
    assert (answer.status_code, answer.json()["code"]) == (409, "MODEL.DELETED")
    assert waves in answer.json()["detail"]


def test_a_job_can_be_rerun_with_other_adapters_or_none(api: Api, served: ModelRegistry, adapter: Path) -> None:
    waves, wind = (publish(served, adapter, name) for name in ("waves", "wind"))
    first = post(api, adapters=[{"model": "waves", "weight": 0.5}]).json()
    rerun = f"{api.url}/jobs/{first['id']}/rerun"
    assert request_of(httpx.post(rerun))["adapters"] == [{"model": waves, "weight": 0.5}]
    assert request_of(httpx.post(rerun, json={"adapters": [{"model": "wind"}]}))["adapters"] == [
        {"model": wind, "weight": 1.0}
    ]
    assert request_of(httpx.post(rerun, json={"adapters": None}))["adapters"] == []
