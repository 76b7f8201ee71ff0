"""The train task: download a run's inputs, monitor its process, store its files, publish its model."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from cinemo_spec.card import BASE_FOLDER
from cinemo_spec.training import TrainConfig
from service.contract.failures import TRAINING_DIED
from service.contract.record import Job, JobError, ModelOutput, Training
from service.observability.tracing import span
from service.storage.models import stored_item
from service.store.queue import QUEUES
from worker.app import app, settings
from worker.checkpoints import Checkpoints
from worker.counting import count_device_time
from worker.dependencies import job_store, model_registry, object_store
from worker.lease import Lease
from worker.outcome import JobFailed, Released
from worker.reporting import report_stored
from worker.run import JobResult, devices_of, run_next
from worker.shutdown import shutdown
from worker.training_folder import BASE, CONFIG, EVENTS, MODEL, RELEASED, RUN
from worker.training_run import TrainingRun

log = structlog.get_logger()

LOG = "log"
POLL_SECONDS = 0.2
LOGGED_BYTES = 8192
"""How much of a failed process's output is logged, from its end."""


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
    # Precision and device come from the configuration and the settings. `--multi_gpu` is needed even without GPUs.
    options = ["--multi_gpu", f"--num_processes={processes}", "--num_machines=1"]
    return ["-m", "accelerate.commands.launch", *options, "--mixed_precision=no", "--dynamo_backend=no"]


def monitor(run: TrainingRun, process: "subprocess.Popen[bytes]", lease: Lease) -> None:
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
