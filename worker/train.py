"""The train task: download a run's inputs, monitor its process, store its files, publish its model."""

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

from cinemo_spec.card import BASE_FOLDER
from cinemo_spec.distillation import Comparison
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
from service.storage.models import stored_item
from service.store.queue import QUEUES
from worker.app import app, settings
from worker.checkpoints import Checkpoints
from worker.counting import count_device_time
from worker.dependencies import job_store, model_registry, object_store
from worker.lease import Lease
from worker.outcome import JobFailed, Released
from worker.reporting import report_progress, report_stored, report_training
from worker.run import JobResult, devices_of, run_next
from worker.shutdown import shutdown
from worker.training_folder import BASE, CONFIG, EVENTS, MODEL, RELEASED, RUN

log = structlog.get_logger()

LOG = "log"
POLL_SECONDS = 0.2
MAX_BROKEN = 100
MAX_NOTES = 20
LOGGED_BYTES = 8192
"""Of the process's output, if it failed."""
MEDIA_TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".png": "image/png"}


@app.task(name=QUEUES["train"])
def train(job_id: str) -> None:
    """Run the next training job, which need not be the one in the message."""
    run_next("train", make_model)


def make_model(job: Job, lease: Lease) -> JobResult:
    """Train in a temporary folder and publish the model."""
    with TemporaryDirectory(prefix=f"{job.id}-") as name:
        folder = Path(name)
        checkpoints = Checkpoints(job, object_store())
        prepare(job, folder, checkpoints)
        run = TrainingRun(job, folder, checkpoints, job.training or Training())
        with count_device_time("train", devices_of("train")), span("train"), training_process(folder) as process:
            monitor(run, process, lease)
        lease.check()
        return JobResult(publish(run))


def prepare(job: Job, folder: Path, checkpoints: Checkpoints) -> None:
    """Write the configuration, the base model and the newest state into the process's folder."""
    config = training_config(job)
    (folder / CONFIG).write_text(config.model_dump_json())
    (folder / EVENTS).touch()
    if "@" in config.base_model:
        fetch_model(config.base_model, job.tenant, folder / BASE)
    checkpoints.restore(folder / RUN / "states")


def fetch_model(reference: str, tenant: str, folder: Path) -> None:
    """Download a published model; an adapter with its base, if that is published, too."""
    model = model_registry().find(reference, tenant)
    model_registry().fetch(model, folder)
    if model.base and "@" in model.base.model:
        fetch_model(model.base.model, tenant, folder / BASE_FOLDER)


def training_config(job: Job) -> TrainConfig:
    assert isinstance(job.request, TrainConfig)
    return job.request


@contextmanager
def training_process(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the training process in a process group, which is killed when the context exits."""
    command = [sys.executable, *launcher(), "-m", "worker.training_process", str(folder)]
    # By default, the launcher kills its processes half a minute after SIGTERM, even while they save their state.
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
    """Arguments that start the process once per GPU; none if there is only one."""
    processes = settings.training_processes
    if processes == 1:
        return []
    # The process takes precision and device from its configuration and the settings. Several processes need
    # `--multi_gpu` even without GPUs.
    options = ["--multi_gpu", f"--num_processes={processes}", "--num_machines=1"]
    return ["-m", "accelerate.commands.launch", *options, "--mixed_precision=no", "--dynamo_backend=no"]


def monitor(run: "TrainingRun", process: "subprocess.Popen[bytes]", lease: Lease) -> None:
    """Handle the process's events until it ends.

    Raises:
        Canceled: the job has been canceled.
        LeaseLost: the job no longer belongs to this attempt.
        Released: the worker is shutting down; the state has been saved, unless that exceeded the grace period.
        JobFailed: the process failed, died or exceeded the time limit; its output is in the log.
    """
    stopping = False
    while process.poll() is None:
        run.handle_new_events()
        lease.check()
        if shutdown.requested and not stopping:
            process.send_signal(signal.SIGTERM)
            stopping = True
        time.sleep(POLL_SECONDS)
    run.handle_new_events()
    if process.returncode == RELEASED or (stopping and process.returncode != 0):
        raise Released
    if process.returncode != 0:
        log.error("training process failed", exit_code=process.returncode, output=end_of(run.folder / LOG))
        raise JobFailed(run.failure or died(process.returncode))


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process and its children."""
    # macOS raises PermissionError if only zombies are left in the group.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def died(returncode: int) -> JobError:
    """The error of a process that ended without reporting one."""
    how = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
    hint = "; the machine's memory may have run out" if returncode == -signal.SIGKILL else ""
    return TRAINING_DIED.error(f"the training process ended by {how}{hint}")


def end_of(output: Path) -> str:
    """The end of the process's output, usually a traceback."""
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - LOGGED_BYTES))
        return file.read().decode(errors="replace")


@dataclass
class TrainingRun:
    """The state of a run in another process, from its events."""

    job: Job
    folder: Path
    checkpoints: Checkpoints
    training: Training
    failure: JobError | None = None
    published: dict[str, Any] | None = None
    _read: int = field(default=0)

    @property
    def job_prefix(self) -> str:
        """Prefix of the files of all attempts."""
        return f"jobs/{self.job.id}/"

    @property
    def prefix(self) -> str:
        """Prefix of this attempt's files."""
        return f"{self.job_prefix}{self.job.attempt}/"

    def handle_new_events(self) -> None:
        """Handle the events written since the last call; of several states, keep only the newest."""
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
            complete, _, _ = file.read().rpartition(b"\n")
        self._read += len(complete) + bool(complete)
        return [json.loads(line) for line in complete.splitlines()]

    def on_start(self, step: int, **found: Any) -> None:
        """The dataset has been inspected."""
        picture = self._store(self.folder / RUN / "preflight.png", "preflight.png")
        report = DatasetReport(
            videos=found["videos"],
            captioned=found["captioned"],
            sampled=found["sampled"],
            broken=dict(list(found["broken"].items())[:MAX_BROKEN]),
            buckets=tuple(found["buckets"]),
            histogram=picture,
            notes=(*self.checkpoints.damaged, *found["notes"])[:MAX_NOTES],
        )
        self._report_stored(self.job_prefix)
        counts = {"videos": report.videos, "captioned": report.captioned, "broken": len(found["broken"])}
        self._record("dataset", counts, dataset=report)

    def on_report(self, step: int, steps: int, **figures: Any) -> None:
        """Steps have been made."""
        known = {name: value for name, value in figures.items() if name in TrainingProgress.model_fields}
        message = f"training step {step} of {steps}, loss {figures['loss']:.4f}"
        progress = TrainingProgress(step=step, steps=steps, fraction=step / steps, message=message, **known)
        report_progress(self.job, progress)

    def on_checkpoint(self, step: int, folder: str) -> None:
        """A state has been saved: store it and the curves, then delete it here."""
        self.checkpoints.save(Path(folder))
        shutil.rmtree(folder)
        curves = self._store_curves()
        self._report_stored(self.job_prefix, self.checkpoints.prefix)
        self._record("checkpoint", {"step": step}, checkpoint_step=step, tensorboard=curves)

    def on_samples(self, step: int, folder: str) -> None:
        """Sample clips have been generated."""
        names = sorted(path.stem for path in Path(folder).glob("*.mp4"))
        made = [
            Sample(step=step, video=self._sample(folder, f"{name}.mp4"), poster=self._sample(folder, f"{name}.jpg"))
            for name in names
        ]
        self._report_stored(self.job_prefix)
        self._record("sample", {"step": step, "clips": len(made)}, samples=self.training.samples_with(made))

    def on_no_samples(self, step: int, reason: str) -> None:
        """Sample clips could not be generated; training continues."""
        log.warning("no samples", step=step, reason=reason)
        self._record("sample", {"step": step, "clips": 0, "reason": reason})

    def on_comparison(self, comparison: dict[str, Any]) -> None:
        """A distilled model was compared with its teacher, before it is published or refused."""
        found = Comparison.model_validate(comparison)
        data = {"flow": found.student.flow, "teacher_flow": found.teacher.flow, "shortfalls": list(found.shortfalls)}
        self._record("comparison", data, comparison=found)

    def on_published(self, **model: Any) -> None:
        """The model has been written."""
        self.published = model

    def on_failed(self, **error: Any) -> None:
        """A process has failed. If several train together, the others fail after it, so the first error counts."""
        self.failure = self.failure or JobError(**error)

    def _report_stored(self, *prefixes: str) -> None:
        """Report the bytes stored below each prefix as an item."""
        sizes = {prefix: sum(object_store().list(prefix).values()) for prefix in prefixes}
        report_stored(self.job, {prefix.rstrip("/"): size for prefix, size in sizes.items()})

    def _record(self, kind: str, data: dict[str, Any], **changes: Any) -> None:
        self.training = self.training.model_copy(update=changes)
        report_training(self.job, self.training, kind, data)

    def _store_curves(self) -> tuple[StoredFile, ...]:
        earlier = [file for file in self.training.tensorboard if not file.key.startswith(self.prefix)]
        # Copied first, because the process keeps writing to the files.
        copy = shutil.copytree(self.folder / RUN / "tensorboard", self.folder / "curves", dirs_exist_ok=True)
        paths = sorted(Path(copy).glob("events.*"))
        return (*earlier, *(self._store(path, f"tensorboard/{path.name}") for path in paths))

    def _sample(self, folder: str, name: str) -> StoredFile:
        path = Path(folder, name)
        return self._store(path, f"samples/{path.parent.name}/{name}")

    def _store(self, path: Path, name: str) -> StoredFile:
        content_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        return StoredFile(**vars(object_store().put_file(self.prefix + name, path, content_type)))


def publish(run: TrainingRun) -> ModelOutput:
    """Store the model atomically."""
    published, config = run.published, training_config(run.job)
    assert published is not None
    job, revision = run.job, published["revision"]
    with job_store().models.publishing(job, f"{config.name}@{revision}"):
        model = model_registry().publish(
            run.folder / MODEL,
            config.name,
            revision,
            job.id,
            config.base_model,
            job.tenant,
            job.attempt,
            run.training.comparison,
        )
        report_stored(job, {stored_item(model.reference): model.bytes})
    return ModelOutput(model=model.reference, first_loss=published["first_loss"], last_loss=published["last_loss"])
