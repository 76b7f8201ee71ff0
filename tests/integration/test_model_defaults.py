"""Defaults from a model's card and the settings: steps, guidance, codec, precision, compilation."""

import base64
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import redis
import torch

from cinemo_core.checkpoint import BUILT_IN
from cinemo_core.checkpoint import revision as revision_of
from cinemo_core.devices import dtype_of
from cinemo_spec.card import ModelCard
from service.contract.settings import Settings
from service.storage import LocalStore
from service.storage.models import ModelRegistry
from service.store.cards import Cards
from tests.conftest import Api, api_running
from tests.official import write_official
from tests.pictures import small_png
from worker.models import Pipelines

REVISIONS = ("0" * 12,)


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(LocalStore(tmp_path / "store", "http://127.0.0.1:1", "key"))


def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"url_signing_key": "key", "work_folder": str(tmp_path / "work")})


@pytest.fixture
def with_card(tmp_path: Path) -> str:
    """The folder of a model whose card says 31 steps and guidance 4."""
    folder = Path(shutil.copytree(BUILT_IN["tiny"], tmp_path / "wanting"))
    replace(ModelCard.read(folder), num_inference_steps=31, guidance_scale=4.0).write(folder)
    return str(folder)


def numbers_of(api: Api, **fields: object) -> tuple[int, float]:
    """Steps and guidance of the job that a request creates."""
    photo = base64.b64encode(small_png()).decode()
    answer = httpx.post(f"{api.url}/animate", json={"image_base64": photo, "prompt": "pan left", **fields})
    assert answer.status_code == 202, answer.text
    return answer.json()["request"]["num_inference_steps"], answer.json()["request"]["guidance_scale"]


def test_omitted_parameters_get_the_defaults_on_the_models_card(
    redis_port: int, redis_client: redis.Redis, tmp_path: Path, with_card: str
) -> None:
    with api_running(tmp_path, redis_port, {"CINEMO_MODEL": with_card}) as api:
        assert numbers_of(api) == (31, 4.0)
        assert numbers_of(api, model="tiny") == (20, 1.3)
        assert numbers_of(api, model="tiny-turbo") == (4, 1.0)
        assert numbers_of(api, num_inference_steps=3) == (3, 4.0)
        assert numbers_of(api, guidance_scale=1) == (31, 1.0)
        folder = Path(shutil.copytree(with_card, tmp_path / "published"))
        replace(ModelCard.read(folder), num_inference_steps=12).write(folder)
        registry = ModelRegistry(LocalStore(api.storage_folder, "http://127.0.0.1:1", "key"))
        model = registry.publish(folder, "waves", REVISIONS[0], "job_1", "tiny").reference
        assert numbers_of(api, model="waves") == (12, 4.0)
        jobs = httpx.get(f"{api.url}/jobs").json()["jobs"]
        by_model = {job["request"]["model"]: job["id"] for job in jobs}
        again = httpx.post(f"{api.url}/jobs/{by_model['tiny']}/rerun", json={"model": model}).json()
        assert (again["request"]["num_inference_steps"], again["request"]["guidance_scale"]) == (12, 4.0)
        own, tiny, turbo, waves = httpx.get(f"{api.url}/models").json()["models"]
        assert [each["num_inference_steps"] for each in (own, tiny, turbo, waves)] == [31, 20, 4, 12]


def edit_of(api: Api, **fields: object) -> dict[str, Any]:
    """The job that a request for an edit creates."""
    files = {"video": b"GIF89a", "image": small_png()}
    answer = httpx.post(f"{api.url}/edit", data={name: str(value) for name, value in fields.items()}, files=files)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_edits_get_the_cards_defaults_also_when_rerun_with_another_model(
    redis_port: int, redis_client: redis.Redis, tmp_path: Path, with_card: str
) -> None:
    with api_running(tmp_path, redis_port, {"CINEMO_MODEL": with_card}) as api:
        own, tiny, asked = edit_of(api), edit_of(api, model="tiny"), edit_of(api, num_inference_steps=3)
        assert [each["request"]["num_inference_steps"] for each in (own, tiny, asked)] == [31, 20, 3]
        again = httpx.post(f"{api.url}/jobs/{asked['id']}/rerun", json={"model": "tiny"}).json()
        assert again["request"]["num_inference_steps"] == 20
        same = httpx.post(f"{api.url}/jobs/{asked['id']}/rerun", json={"num_inference_steps": None}).json()
        assert same["request"]["num_inference_steps"] == 31
    with api_running(tmp_path, redis_port, {"CINEMO_DEFAULT_NUM_INFERENCE_STEPS": "7"}) as api:
        assert edit_of(api)["request"]["num_inference_steps"] == 7


def test_a_model_that_only_workers_have_uses_the_published_defaults_until_one_publishes_its_card(
    redis_port: int, redis_client: redis.Redis, tmp_path: Path
) -> None:
    with api_running(tmp_path, redis_port, {"CINEMO_MODEL": "somebody/model"}) as api:
        assert numbers_of(api) == (50, 7.5)
        Cards(redis_client).publish("somebody/model", asdict(ModelCard("model", num_inference_steps=8)))
        assert numbers_of(api) == (8, 7.5)


def test_settings_override_the_card_and_limits_override_both(
    redis_port: int, redis_client: redis.Redis, tmp_path: Path, with_card: str
) -> None:
    changes = {"CINEMO_MODEL": with_card, "CINEMO_DEFAULT_GUIDANCE_SCALE": "2", "CINEMO_MAX_NUM_INFERENCE_STEPS": "9"}
    with api_running(tmp_path, redis_port, changes) as api:
        assert numbers_of(api) == (9, 2.0)


@pytest.mark.parametrize("codec", ["vae", "vae_temporal_decoder"])
def test_the_settings_choose_between_a_models_two_codecs(
    registry: ModelRegistry, tmp_path: Path, codec: Literal["vae", "vae_temporal_decoder"]
) -> None:
    folder = str(write_official(tmp_path / "official"))
    chosen = settings(tmp_path).model_copy(update={"model": folder, "codec": codec})
    pipe = Pipelines(chosen, registry).get(folder)
    assert type(pipe.vae).__name__ == {"vae": "AutoencoderKL"}.get(codec, "AutoencoderKLTemporalDecoder")
    assert pipe.revision == revision_of(Path(folder), codec=codec)


def test_a_worker_uses_half_precision_only_on_a_gpu_and_compiles_if_configured(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    assert [dtype_of("auto", device) for device in ("cpu", "cuda", "cuda:1")] == [
        torch.float32,
        torch.float16,
        torch.float16,
    ]
    assert dtype_of("bfloat16", "cuda") == torch.bfloat16
    plain = settings(tmp_path).model_copy(update={"device": "cpu"})
    pipe = Pipelines(plain, registry).get("tiny")
    assert (pipe.unet.dtype, pipe.unet._compiled_call_impl) == (torch.float32, None)
    compiled = Pipelines(plain.model_copy(update={"compile_unet": True}), registry).get("tiny")
    assert compiled.unet._compiled_call_impl is not None
