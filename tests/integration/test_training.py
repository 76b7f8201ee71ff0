"""Training jobs: submitted, followed, killed, released, canceled, and finally a model that animates."""

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
import torch
from PIL import Image
from safetensors.torch import load_file

from cinemo_core import read_video
from cinemo_core.checkpoint import BUILT_IN, revision
from cinemo_core.training.loop import train
from cinemo_core.training.publish import publish
from cinemo_core.training.run import Run
from cinemo_spec.training import TrainConfig
from deploy.local.stack import Stack
from service.contract.record import DEFAULT_TENANT
from service.contract.states import ENDED
from service.storage import S3Store
from service.storage.models import ModelRegistry
from service.store.keys import KEPT
from tests.conftest import BUCKET, CREDENTIALS, Api
from tests.datasets import DATA, clips, quicker_tiny, shard, write_folder
from tests.forked import NURSERY
from tests.integration.conftest import Service, running_over_s3
from tests.processes import wait_until

PREFIX = "datasets/waves"
LOSSES = 2
"""In a row, that a job outlives but for the last one."""


@dataclass(frozen=True)
class Trainer:
    """A running service with a worker that trains."""

    service: Service

    @property
    def stack(self) -> Stack:
        return self.service.stack

    def post(self, **changes: Any) -> str:
        """POST a short training; returns the job's ID."""
        answer = self.service.http.post("/train", json=body(**changes))
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        assert answer.headers["Location"] == f"{self.service.stack.url}/jobs/{job_id}"
        return job_id

    def wait_for_step(self, job_id: str, step: int) -> None:
        """Wait until the job has stored its state after some step."""

        def reached() -> bool:
            job = self.service.get(job_id)
            assert job["status"] not in ENDED, job["error"]
            return bool(job["training"] and (job["training"]["checkpoint_step"] or 0) >= step)

        wait_until(reached, 120, f"the state after step {step}")

    def events(self, job_id: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.service.http.get(f"/jobs/{job_id}/events").json()["events"]
        return events

    def kept(self, item: str) -> int:
        """Bytes counted for an item in the tenant's quota."""
        client = redis.Redis(port=self.stack.redis_port)
        return int(client.hget(KEPT + DEFAULT_TENANT, item) or 0)

    def stored(self, prefix: str) -> int:
        return sum(self.service.storage.list(prefix).values())

    def training_processes(self) -> list[int]:
        """IDs of this service's training processes."""
        work = str(self.stack.folder / "work")
        found = []
        for process in psutil.process_iter(["cmdline"]):
            command = process.info["cmdline"] or []
            if "worker.training_process" in command and any(each.startswith(work) for each in command):
                found.append(process.pid)
        return found

    def kill_training(self) -> None:
        """Kill the training process, like the kernel when memory runs out; the worker survives."""
        wait_until(lambda: len(self.training_processes()) == 1, 60, "a training process")
        (process,) = self.training_processes()
        os.kill(process, signal.SIGKILL)
        wait_until(lambda: process not in self.training_processes(), 10, "its end")

    def restart_worker(self, number: signal.Signals) -> None:
        """Stop the worker with a signal, and start another one."""
        process = self.stack.processes.pop("trainer")
        process.send_signal(number)
        process.wait(60)
        self.stack.spawn("trainer", [sys.executable, "-m", "worker", "--queue", "train"])


def body(**changes: Any) -> dict[str, Any]:
    """A training of a few small steps."""
    data = {**DATA, "source": PREFIX, "preflight_videos": 4, **changes.pop("data", {})}
    defaults: dict[str, Any] = {
        "name": "waves",
        "steps": 4,
        "batch_size": 2,
        "precision": "float32",
        "log_every_steps": 1,
        "checkpoint_every_steps": 2,
        "samples": {"every_steps": 0},
    }
    return {**defaults, **changes, "data": data}


@pytest.fixture(scope="module")
def trainer(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    storage = S3Store(BUCKET, s3_endpoint, "us-east-1", **CREDENTIALS)
    for name, (video, caption) in clips().items():
        storage.put_bytes(f"{PREFIX}/{name}.mp4", video, "video/mp4")
        storage.put_bytes(f"{PREFIX}/{name}.txt", caption.encode(), "text/plain")
    variables = {"CINEMO_LEASE_SECONDS": "3", "CINEMO_DEVICE": "cpu", "CINEMO_MAX_LOSSES": str(LOSSES)}
    with running_over_s3(s3_endpoint, tmp_path_factory.mktemp("training"), variables, trainer=True) as service:
        yield Trainer(service)


def trained_here(folder: Path, config: dict[str, Any]) -> Run:
    """The result of the same configuration in this process, without interruption."""
    videos = write_folder(folder / "videos")
    same = TrainConfig.model_validate({**config, "data": {**config["data"], "source": str(videos)}})
    return train(same, folder / "run", device="cpu")


def test_a_training_whose_worker_was_killed_twice_gives_the_same_model(
    trainer: Trainer, photo: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = body(steps=16, train_text_encoder=True)
    job_id = trainer.post(steps=16, train_text_encoder=True)
    # The second worker alone, and the training that it starts, are not forked.
    monkeypatch.delitem(trainer.stack.environment, NURSERY)
    for step in (2, 6):
        trainer.wait_for_step(job_id, step)
        assert trainer.kept(f"checkpoints/{job_id}") > 0, "states count among what is kept for the tenant"
        trainer.restart_worker(signal.SIGKILL)
        monkeypatch.undo()
    job = trainer.service.wait_for(job_id)
    assert job["status"] == "succeeded", job["error"]
    assert job["attempt"] == 3
    assert job["progress"]["step"] == job["progress"]["steps"] == 16

    reference = job["output"]["model"]
    registry = ModelRegistry(trainer.service.storage)
    registry.fetch(registry.find(reference, DEFAULT_TENANT), tmp_path / "made")
    publish(trained_here(tmp_path, config), once := tmp_path / "once")
    for part in ("unet/diffusion_pytorch_model", "text_encoder/model"):
        made, expected = (load_file(folder / f"{part}.safetensors") for folder in (tmp_path / "made", once))
        assert made.keys() == expected.keys()
        assert all(torch.equal(value, expected[name]) for name, value in made.items())
    wait_until(lambda: not trainer.service.storage.list(f"checkpoints/{job_id}/"), 30, "the end of its states")

    animated = trainer.service.animate(photo, model=reference, width=48, height=32)
    video = trainer.service.wait_for(animated["id"])
    assert video["status"] == "succeeded", video["error"]
    assert video["request"]["model"] == reference
    assert (video["output"]["video"]["width"], video["output"]["video"]["height"]) == (48, 32)


def test_samples_states_and_curves_of_a_training_are_in_the_job_and_its_events(
    trainer: Trainer, tmp_path: Path
) -> None:
    trainer.service.storage.put_bytes("datasets/torn/000099.mp4", b"not a video", "video/mp4")
    trainer.service.storage.put_bytes("datasets/torn/old.wmv", b"not read", "video/x-ms-wmv")
    trainer.service.storage.put_bytes("datasets/torn/clips.tar", shard(), "application/x-tar")
    trainer.service.storage.put_bytes("datasets/torn/cut.tar", shard()[: len(shard()) // 3], "application/x-tar")
    samples = {"every_steps": 2, "clips": 1, "num_inference_steps": 1}
    data = {"source": f"s3://{BUCKET}/datasets/torn", "max_broken_share": 0.2}
    job = trainer.service.wait_for(trainer.post(samples=samples, data=data))
    assert job["status"] == "succeeded", job["error"]
    assert (job["kind"], job["request"]["data"]["source"]) == ("train", "datasets/torn/")
    assert 0 <= job["progress"]["waiting_share"] <= 1
    assert job["progress"]["loss"] > 0

    training = job["training"]
    assert {"cut.tar"} <= set(training["dataset"]["broken"]) <= {"cut.tar", "000099.mp4"}
    assert training["dataset"]["videos"] - training["dataset"]["captioned"] == 1, "the one beside the shards"
    assert training["dataset"]["notes"] == ["1 files are in unsupported formats: old.wmv"]
    assert sum(training["dataset"]["buckets"]) == training["dataset"]["sampled"] == 4
    histogram = Image.open(io.BytesIO(httpx.get(training["dataset"]["histogram"]["url"]).content))
    assert histogram.format == "PNG"
    assert [sample["step"] for sample in training["samples"]] == [2, 4]
    (tmp_path / "sample.mp4").write_bytes(httpx.get(training["samples"][1]["video"]["url"]).content)
    assert read_video(tmp_path / "sample.mp4")[0].shape == (8, 32, 48, 3)
    curves = httpx.get(training["tensorboard"][0]["url"]).content
    assert b"training/loss" in curves

    events = trainer.events(job["id"])
    (found,) = [event["data"] for event in events if event["type"] == "dataset"]
    assert found["captioned"] == training["dataset"]["captioned"]
    kinds = [event["type"] for event in events]
    assert kinds[:3] == ["job.queued", "job.running", "dataset"]
    assert kinds[-1] == "job.succeeded"
    assert (kinds.count("progress"), kinds.count("sample")) == (4, 2)
    assert training["checkpoint_step"] == 4
    assert trainer.kept(f"jobs/{job['id']}") == trainer.stored(f"jobs/{job['id']}/") > 0
    wait_until(lambda: trainer.kept(f"checkpoints/{job['id']}") == 0, 30, "its states, needed no more, to go")
    assert trainer.stored(f"checkpoints/{job['id']}/") == 0
    losses = [event["data"]["loss"] for event in trainer.events(job["id"]) if event["type"] == "progress"]
    assert (losses[0], losses[-1]) == (job["output"]["first_loss"], job["output"]["last_loss"])


def test_a_stopping_worker_releases_its_training_at_once(trainer: Trainer) -> None:
    job_id = trainer.post(steps=400, checkpoint_every_steps=1000)
    wait_until(lambda: (trainer.service.get(job_id)["progress"] or {}).get("step", 0) >= 3, 120, "three steps")
    trainer.restart_worker(signal.SIGTERM)
    handed = trainer.service.get(job_id)
    step = handed["training"]["checkpoint_step"]
    assert 3 <= step < 400
    wait_until(lambda: trainer.service.get(job_id)["progress"]["step"] > step, 120, "a step of the next worker")
    job = trainer.service.get(job_id)
    assert job["attempt"] == 2
    resumed = [event["data"]["step"] for event in trainer.events(job_id) if event["type"] == "progress"]
    assert resumed == sorted(set(resumed)), "no step is taken twice"
    trainer.service.http.post(f"/jobs/{job_id}/cancel").raise_for_status()
    assert trainer.service.wait_for(job_id)["status"] == "canceled"


def test_two_processes_train_the_same_model_and_both_die_with_their_worker(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = trained_here(tmp_path, body(batch_size=4))
    monkeypatch.setitem(trainer.stack.environment, "CINEMO_TRAINING_PROCESSES", "2")
    trainer.restart_worker(signal.SIGTERM)
    two = trainer.service.wait_for(trainer.post(batch_size=4))
    assert two["status"] == "succeeded", two["error"]
    assert two["output"]["last_loss"] == pytest.approx(one.progress.metrics[-1]["loss"], rel=1e-2)

    job_id = trainer.post(batch_size=4, steps=100_000)
    wait_until(lambda: trainer.service.get(job_id)["progress"] is not None, 120, "the first step")
    processes = [psutil.Process(each) for each in trainer.training_processes()]
    assert len(processes) == 1 + 2, "the launcher, and the two that it has started"
    reported = {each.environ()["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] for each in processes}
    assert reported == {"120"}, "the launcher waits for a state as long as the worker does"
    monkeypatch.undo()
    trainer.service.http.post(f"/jobs/{job_id}/cancel")
    trainer.restart_worker(signal.SIGKILL)
    wait_until(lambda: not trainer.training_processes(), 30, "the end of the killed worker's processes")
    assert trainer.service.wait_for(job_id)["status"] == "canceled"


def test_a_canceled_training_stops_and_the_next_one_starts(trainer: Trainer, photo: bytes) -> None:
    job_id, waiting = trainer.post(steps=100_000), trainer.post(name="next")
    wait_until(lambda: trainer.service.get(job_id)["progress"] is not None, 120, "the first step")
    assert trainer.service.get(waiting)["queue_position"] == 1
    assert trainer.service.get(job_id)["eta"] is not None
    video = trainer.service.wait_for(trainer.service.animate(photo)["id"])
    assert video["status"] == "succeeded", "animation does not wait for training"

    answer = trainer.service.http.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "canceling")
    job = trainer.service.wait_for(job_id)
    assert (job["status"], job["output"]) == ("canceled", None)
    assert trainer.service.http.post(f"/jobs/{job_id}/cancel").json()["status"] == "canceled"
    ended = trainer.service.wait_for(waiting)
    assert ended["status"] == "succeeded", ended["error"]
    assert list((trainer.stack.folder / "work").glob("*/job_*")) == []


def test_a_training_on_bad_data_fails_with_a_typed_error_and_the_worker_continues(trainer: Trainer) -> None:
    for number in range(4):
        trainer.service.storage.put_bytes(f"datasets/noise/{number}.mp4", b"noise", "video/mp4")
    failed = trainer.service.wait_for(trainer.post(data={"source": "datasets/noise"}))
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "INPUT.DATASET.INVALID"
    assert failed["error"]["retryable"] is False
    assert "0 of" not in failed["error"]["message"]
    assert ".mp4: not a readable video" in failed["error"]["message"]
    diverged = trainer.post(steps=30, optimizer={"learning_rate": 1e30, "max_grad_norm": 1e30})
    assert trainer.service.wait_for(diverged)["error"]["code"] == "TRAINING.DIVERGED"
    logged = [json.loads(line) for line in trainer.stack.log_path("trainer").read_text().splitlines()]
    said = {line["job"]: line["output"] for line in logged if line["event"] == "training process failed"}
    assert "Traceback (most recent call last)" in said[diverged]


def test_a_training_whose_process_keeps_dying_fails_and_a_rerun_resumes_it(
    trainer: Trainer,
) -> None:
    job_id = trainer.post(steps=100_000)
    trainer.wait_for_step(job_id, 10)
    for _ in range(LOSSES):
        trainer.kill_training()
    job = trainer.service.wait_for(job_id)
    assert (job["error"]["code"], job["attempt"]) == ("TRAINING.PROCESS_DIED", LOSSES)
    assert "signal 9; the machine's memory may have run out" in job["error"]["message"]
    taken = [event["data"]["step"] for event in trainer.events(job_id) if event["type"] == "progress"]
    assert taken.count(1) == 1, "each attempt went on from the state"

    rerun = trainer.service.http.post
    changed = rerun(f"/jobs/{job_id}/rerun", json={"seed": 1, "name": "anew"}).json()
    assert changed["continues"] is None
    assert rerun(f"/jobs/{changed['id']}/cancel").is_success
    again = rerun(f"/jobs/{job_id}/rerun", json={"gradient_accumulation_steps": 2}).json()
    assert again["continues"] == job_id
    wait_until(lambda: trainer.service.get(again["id"])["progress"] is not None, 120, "the first step")
    steps = [event["data"]["step"] for event in trainer.events(again["id"]) if event["type"] == "progress"]
    assert steps[0] > 10
    rerun(f"/jobs/{again['id']}/cancel").raise_for_status()
    assert trainer.service.wait_for(again["id"])["status"] == "canceled"


def test_a_published_model_is_listed_continued_and_deleted_once_nothing_uses_it(trainer: Trainer) -> None:
    http = trainer.service.http
    reference = trainer.service.wait_for(trainer.post(name="first"))["output"]["model"]
    listed = {model["model"]: model for model in http.get("/models").json()["models"]}
    assert listed["tiny"]["default"] is True
    assert listed[reference]["motion_scale"] == {"at_zero": 0.0, "per_intensity": 1.0, "strong_score": 0.4}
    assert http.get("/models/first").json() == listed[reference]

    job_id = trainer.post(name="second", base_model="first", steps=100_000)
    assert trainer.service.get(job_id)["request"]["base_model"] == reference
    item = f"models/{reference}"
    assert trainer.kept(item) == listed[reference]["bytes"]
    refused = http.delete(f"/models/{reference}")
    assert (refused.status_code, refused.json()["code"]) == (409, "MODEL.IN_USE")
    wait_until(lambda: trainer.service.get(job_id)["progress"] is not None, 120, "the first step")
    http.post(f"/jobs/{job_id}/cancel")
    assert trainer.service.wait_for(job_id)["status"] == "canceled"
    assert http.delete(f"/models/{reference}").status_code == 204
    assert http.get(f"/models/{reference}").status_code == 404
    assert trainer.kept(item) == 0
    assert http.delete(f"/models/{reference}").status_code == 204, "sent again, as where its answer was lost"
    again = http.post("/train", json=body(base_model=reference))
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (422, "#/base_model")

    assert trainer.service.wait_for(trainer.post(name="first"))["output"]["model"] == reference
    accepted = http.post("/train", json=body(base_model=reference))
    assert accepted.status_code == 202, "what is published again can be used again"
    http.post(f"/jobs/{accepted.json()['id']}/cancel")


def test_an_adapter_is_published_alone_and_animates_over_its_base(trainer: Trainer, photo: bytes) -> None:
    service, http = trainer.service, trainer.service.http
    made = revision(BUILT_IN["tiny"])
    base = ModelRegistry(service.storage).publish(BUILT_IN["tiny"], "base", made, "job_0", "tiny").reference
    lora: dict[str, Any] = {"lora": {"rank": 2}, "ema_decay": 0, "optimizer": {"learning_rate": 0.02}}
    first = service.wait_for(trainer.post(name="first-style", base_model=base, **lora))["output"]["model"]
    second = service.wait_for(trainer.post(name="second-style", base_model=first, **lora))["output"]["model"]
    listed = {model["model"]: model for model in http.get("/models").json()["models"]}
    pinned = {"model": base, "revision": made}
    assert [listed[each]["base"] for each in (base, first, second)] == [None, pinned, pinned]
    assert listed[first]["bytes"] < listed[base]["bytes"] / 10
    assert http.delete(f"/models/{base}").json()["code"] == "MODEL.IS_BASE"

    def outcome(**fields: Any) -> tuple[str, str | None]:
        """The checksum of a video, and the job that it was copied from."""
        job = service.wait_for(service.animate(photo, seed="1", **fields)["id"])
        assert job["status"] == "succeeded", job["error"]
        return job["output"]["video"]["sha256"], job["reused_from"]

    plain, _ = outcome(model=base)
    styled, _ = outcome(model=first, adapters=f"{second}=0.5")
    weaker, copied_from = outcome(model=first, adapters=f"{second}=0.25")
    assert copied_from is None, "another weight is another request"
    assert len({plain, styled, weaker}) == 3
    assert outcome(model=first, adapters=f"{second}=0.5")[1], "an equal request is answered with the same files"
    assert outcome(model=base, reuse="false") == (plain, None), "the base is as it was before the adapters"


def test_a_distilled_model_that_falls_short_is_published_only_if_forced(trainer: Trainer, tmp_path: Path) -> None:
    teacher = quicker_tiny(tmp_path)
    registry = ModelRegistry(trainer.service.storage)
    base = registry.publish(teacher, "teacher", revision(teacher), "job_0", "tiny").reference
    distillation = {"steps": 4, "solver_steps": 8, "checked_prompts": 1}
    # Steps so large that nothing of the teacher is left.
    spoilt = {"steps": 2, "optimizer": {"learning_rate": 0.1}, "ema_decay": 0.5}
    job_id = trainer.post(name="fast", base_model=base, method="distill", distillation=distillation, **spoilt)
    failed = trainer.service.wait_for(job_id)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "TRAINING.STUDENT_FALLS_SHORT")
    comparison = failed["training"]["comparison"]
    assert comparison["shortfalls"]
    assert all(each in failed["error"]["message"] for each in comparison["shortfalls"])
    assert (comparison["passes"], comparison["teacher_passes"]) == (4, 16)
    http = trainer.service.http
    assert http.get("/models/fast").status_code == 404

    forced = http.post(f"/jobs/{job_id}/rerun", json={"distillation": {"force": True}}).json()
    assert forced["continues"] == job_id
    reference = trainer.service.wait_for(forced["id"])["output"]["model"]
    model = http.get("/models/fast").json()
    assert model["model"] == reference
    assert (model["num_inference_steps"], model["guidance_scale"]) == (4, 1.0)
    assert model["comparison"] == comparison, "its figures, beside the teacher's"
    again = http.post("/train", json=body(base_model="fast", method="distill"))
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (422, "#/base_model")
    assert "takes 4 steps already" in again.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"steps": 0}, "#/steps"),
        ({"colour": "red"}, "#/colour"),
        ({"name": "Waves!"}, "#/name"),
        ({"name": "tiny"}, "#/name"),
        ({"data": {"width": 100}}, "#/data/width"),
        ({"data": {"source": "datasets/nothing"}}, "#/data/source"),
        ({"data": {"source": "inputs"}}, "#/data/source"),
        ({"data": {"source": "datasets/../inputs"}}, "#/data/source"),
        ({"data": {"source": "s3://another-bucket/videos"}}, "#/data/source"),
        ({"data": {"source": "/etc"}}, "#/data/source"),
        ({"data": {"workers": 5}}, "#/data/workers"),
        ({"base_model": "nothing"}, "#/base_model"),
        ({"base_model": "/etc"}, "#/base_model"),
        ({"base_model": "maxin-cn/Cinemo"}, "#/base_model"),
        ({"optimizer": {"learning_rate": -1}}, "#/optimizer/learning_rate"),
        ({"method": "distil"}, "#/method"),
        ({"method": "distill", "distillation": {"steps": 4, "solver_steps": 10}}, "#/distillation"),
    ],
)
def test_an_invalid_training_is_rejected_by_field_and_not_queued(
    api: Api, changes: dict[str, Any], pointer: str
) -> None:
    (api.storage_folder / "data" / PREFIX).mkdir(parents=True, exist_ok=True)
    (api.storage_folder / "data" / PREFIX / "0.mp4").write_bytes(b"")
    answer = httpx.post(f"{api.url}/train", json=body(**changes))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert api.queued() == 0


def test_events_of_an_unknown_job_or_after_an_invalid_id_are_rejected(api: Api) -> None:
    assert httpx.get(f"{api.url}/jobs/job_1/events").status_code == 404
    assert httpx.get(f"{api.url}/jobs/job_1/events?after=yesterday").status_code == 422
    assert httpx.post(f"{api.url}/jobs/job_1/cancel").status_code == 404
