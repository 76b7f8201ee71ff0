"""The train task: fetch what the training needs, watch its process, store what it leaves, publish what it makes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from cinemo_spec.training import TrainConfig
from service.contract.failures import TRAINING_DIED
from service.contract.record import (
    DatasetReport,
    Job,
    JobError,
    ModelOutput,
    Sample,
    StoredFile,
    Training,
    TrainingProgress,
)
from service.observability.tracing import span
from service.storage.models import usage_item
from service.store.queue import QUEUES
from worker.app import app, settings
from worker.checkpoints import Checkpoints
from worker.counting import on_device
from worker.dependencies import job_store, model_registry, object_store
from worker.lease import Lease
from worker.outcome import JobFailed, Released
from worker.reporting import report_progress, report_stored, report_training
from worker.run import JobResult, run_next
from worker.shutdown import shutdown
from worker.training_folder import BASE, CONFIG, EVENTS, MODEL, RELEASED, RUN

log = structlog.get_logger()

LOG = "log"
POLL_SECONDS = 0.2
BROKEN_TOLD = 100
NOTES_TOLD = 20
TOLD_BYTES = 8192
"""Of what the process printed, where it failed."""
MEDIA_TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".png": "image/png"}


@app.task(name=QUEUES["train"])
def train(job_id: str) -> None:
    """Run the training job that is next; the one that the message names may have to wait, or is done."""
    run_next("train", make_model)


def make_model(job: Job, lease: Lease) -> JobResult:
    """Train in a folder of its own that is gone afterwards, and publish the model."""
    with TemporaryDirectory(prefix=f"{job.id}-") as name:
        folder = Path(name)
        checkpoints = Checkpoints(job, object_store())
        prepare(job, folder, checkpoints)
        watch = Watch(job, folder, checkpoints, job.training or Training())
        with on_device("train", settings.training_processes), span("train"), training_process(folder) as process:
            follow(watch, process, lease)
        lease.check()
        return JobResult(publish(watch))


def prepare(job: Job, folder: Path, checkpoints: Checkpoints) -> None:
    """Put configuration, base model and the newest state where the process looks for them."""
    config = training_config(job)
    (folder / CONFIG).write_text(config.model_dump_json())
    (folder / EVENTS).touch()
    if "@" in config.base_model:
        model_registry().fetch(model_registry().find(config.base_model, job.tenant), folder / BASE)
    checkpoints.restore(folder / RUN / "states")


def training_config(job: Job) -> TrainConfig:
    assert isinstance(job.request, TrainConfig)
    return job.request


@contextmanager
def training_process(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The process that trains, in a group of its own; no part of it outlives the context."""
    command = [sys.executable, *launcher(), "-m", "worker.training_process", str(folder)]
    # Else the launcher kills its processes half a minute after it was told to stop, whatever they have to save.
    environment = {**os.environ, "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": f"{settings.training_grace_seconds:.0f}"}
    with (folder / LOG).open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
    try:
        yield process
    finally:
        kill(process)


def launcher() -> list[str]:
    """What starts the process once for each GPU; nothing where there is one."""
    processes = settings.training_processes
    if processes == 1:
        return []
    # Precision is the configuration's, and on what it computes the settings', which the process reads. Without GPUs,
    # too, it is this option that makes several of it.
    options = ["--multi_gpu", f"--num_processes={processes}", "--num_machines=1"]
    return ["-m", "accelerate.commands.launch", *options, "--mixed_precision=no", "--dynamo_backend=no"]


def follow(watch: "Watch", process: "subprocess.Popen[bytes]", lease: Lease) -> None:
    """Handle the process's events until it ends.

    Raises:
        Canceled: the job was asked to stop.
        LeaseLost: the job is no longer this attempt's.
        Released: the worker is going away; the state is saved, unless that took longer than it may.
        JobFailed: the process failed or died, or took longer than it may. What it said is in the log.
    """
    asked = False
    while process.poll() is None:
        watch.handle_new()
        lease.check()
        if shutdown.asked and not asked:
            process.send_signal(signal.SIGTERM)
            asked = True
        time.sleep(POLL_SECONDS)
    watch.handle_new()
    if process.returncode == RELEASED or (asked and process.returncode != 0):
        raise Released
    if process.returncode != 0:
        log.error("training process failed", exit_code=process.returncode, output=last_words(watch.folder / LOG))
        raise JobFailed(watch.failure or died(process.returncode))


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def died(returncode: int) -> JobError:
    """The error of a process that could not tell its own."""
    how = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
    hint = "; the machine's memory may have run out" if returncode == -signal.SIGKILL else ""
    return TRAINING_DIED.error(f"the training process ended by {how}{hint}")


def last_words(output: Path) -> str:
    """The end of what the process printed, as a rule a traceback."""
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - TOLD_BYTES))
        return file.read().decode(errors="replace")


@dataclass
class Watch:
    """What is known of a training that goes on in another process."""

    job: Job
    folder: Path
    checkpoints: Checkpoints
    training: Training
    failure: JobError | None = None
    published: dict[str, Any] | None = None
    _read: int = field(default=0)

    @property
    def job_prefix(self) -> str:
        """Where the files of all attempts are in the storage."""
        return f"jobs/{self.job.id}/"

    @property
    def prefix(self) -> str:
        """Where the job's files go in the storage."""
        return f"{self.job_prefix}{self.job.attempt}/"

    def handle_new(self) -> None:
        """Handle the events that were written since the last time; of several states the newest is enough."""
        events = self._new_events()
        states = [event for event in events if event["type"] == "checkpoint"]
        for event in events:
            if event in states[:-1]:
                shutil.rmtree(event["folder"])
            else:
                getattr(self, f"on_{event.pop('type')}")(**event)

    def _new_events(self) -> list[dict[str, Any]]:
        with (self.folder / EVENTS).open("rb") as file:
            file.seek(self._read)
            whole, _, _ = file.read().rpartition(b"\n")
        self._read += len(whole) + bool(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def on_start(self, step: int, **found: Any) -> None:
        """The data has been looked at."""
        picture = self._store(self.folder / RUN / "preflight.png", "preflight.png")
        report = DatasetReport(
            videos=found["videos"],
            captioned=found["captioned"],
            sampled=found["sampled"],
            broken=dict(list(found["broken"].items())[:BROKEN_TOLD]),
            buckets=tuple(found["buckets"]),
            histogram=picture,
            notes=(*self.checkpoints.damaged, *found["notes"])[:NOTES_TOLD],
        )
        self._report_stored(self.job_prefix)
        told = {"videos": report.videos, "captioned": report.captioned, "broken": len(found["broken"])}
        self._record("dataset", told, dataset=report)

    def on_report(self, step: int, steps: int, **figures: Any) -> None:
        """Steps were taken."""
        known = {name: value for name, value in figures.items() if name in TrainingProgress.model_fields}
        message = f"training step {step} of {steps}, loss {figures['loss']:.4f}"
        progress = TrainingProgress(step=step, steps=steps, fraction=step / steps, message=message, **known)
        report_progress(self.job, progress)

    def on_checkpoint(self, step: int, folder: str) -> None:
        """A state was saved: store it, and the curves with it; then it is no longer needed here."""
        self.checkpoints.save(Path(folder))
        shutil.rmtree(folder)
        curves = self._store_curves()
        self._report_stored(self.job_prefix, self.checkpoints.prefix)
        self._record("checkpoint", {"step": step}, checkpoint_step=step, tensorboard=curves)

    def on_samples(self, step: int, folder: str) -> None:
        """Clips were made."""
        names = sorted(path.stem for path in Path(folder).glob("*.mp4"))
        made = [
            Sample(step=step, video=self._sample(folder, f"{name}.mp4"), poster=self._sample(folder, f"{name}.jpg"))
            for name in names
        ]
        self._report_stored(self.job_prefix)
        self._record("sample", {"step": step, "clips": len(made)}, samples=self.training.samples_with(made))

    def on_no_samples(self, step: int, reason: str) -> None:
        """Clips did not fit into memory; the training goes on."""
        log.warning("no samples", step=step, reason=reason)
        self._record("sample", {"step": step, "clips": 0, "reason": reason})

    def on_published(self, **model: Any) -> None:
        """The model is written."""
        self.published = model

    def on_failed(self, **error: Any) -> None:
        """A process says why it ends; where several train together, the others lose it and say so after it."""
        self.failure = self.failure or JobError(**error)

    def _report_stored(self, *prefixes: str) -> None:
        """Have all that is stored below prefixes count, each as an item of the tenant's usage."""
        sizes = {prefix: sum(object_store().list(prefix).values()) for prefix in prefixes}
        report_stored(self.job, {prefix.rstrip("/"): size for prefix, size in sizes.items()})

    def _record(self, kind: str, data: dict[str, Any], **changes: Any) -> None:
        self.training = self.training.model_copy(update=changes)
        report_training(self.job, self.training, kind, data)

    def _store_curves(self) -> tuple[StoredFile, ...]:
        earlier = [file for file in self.training.tensorboard if not file.key.startswith(self.prefix)]
        # The process goes on writing to them.
        still = shutil.copytree(self.folder / RUN / "tensorboard", self.folder / "curves", dirs_exist_ok=True)
        paths = sorted(Path(still).glob("events.*"))
        return (*earlier, *(self._store(path, f"tensorboard/{path.name}") for path in paths))

    def _sample(self, folder: str, name: str) -> StoredFile:
        path = Path(folder, name)
        return self._store(path, f"samples/{path.parent.name}/{name}")

    def _store(self, path: Path, name: str) -> StoredFile:
        content_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        return StoredFile(**vars(object_store().put_file(self.prefix + name, path, content_type)))


def publish(watch: Watch) -> ModelOutput:
    """Store the model, whole or not at all."""
    made, config = watch.published, training_config(watch.job)
    assert made is not None
    job, revision = watch.job, made["revision"]
    with job_store().publishing(job, f"{config.name}@{revision}"):
        model = model_registry().publish(
            watch.folder / MODEL, config.name, revision, job.id, config.base_model, job.tenant, job.attempt
        )
        report_stored(job, {usage_item(model.reference): model.bytes})
    return ModelOutput(model=model.reference, first_loss=made["first_loss"], last_loss=made["last_loss"])
