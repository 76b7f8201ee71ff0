"""The animate task: take the job, run the model on its photo, store the video, end the job."""

import io
import os
import socket
import time
from functools import cache
from typing import Any

import structlog
from celery.signals import worker_init
from PIL import Image, UnidentifiedImageError

from cinemo_core import CinemoPipeline, DCTInit, InvalidImage
from service.jobs.model import Job, JobMetrics
from service.jobs.queue import ANIMATE
from service.jobs.store import JobStore, connect
from service.storage import ObjectStore, open_object_store
from worker.app import app, settings
from worker.models import serving_pipeline
from worker.outcome import Overtaken, job_error
from worker.upload import Result, upload

log = structlog.get_logger()
WORKER = f"{socket.gethostname()}-{os.getpid()}"


@worker_init.connect
def load_model(**_: Any) -> None:
    """Load the model before the first job is taken, so that no job waits for it."""
    serving_pipeline(settings)


@cache
def job_store() -> JobStore:
    return JobStore(connect(settings.redis_url))


@cache
def object_store() -> ObjectStore:
    return open_object_store(settings)


@app.task(name=ANIMATE)
def animate(job_id: str) -> None:
    """Run one job to its end. A message whose job cannot be taken is stale and dropped."""
    jobs = job_store()
    job = jobs.take(job_id, WORKER)
    if job is None:
        log.info("stale message dropped", job=job_id)
        return
    structlog.contextvars.bind_contextvars(job=job.id, attempt=job.attempt)
    started = time.monotonic()
    try:
        result = run_model(job, jobs, object_store())
        output = upload(job, result, object_store())
        metrics = measure(job, started, result.model_ms)
        ended = jobs.succeed(job.id, job.attempt, output, metrics)
        log.info("job succeeded" if ended else "job overtaken", **metrics.model_dump())
    except Overtaken:
        log.info("job overtaken")
    except Exception as error:
        # Whatever a job does wrong ends that job alone; the worker goes on to the next.
        outcome = job_error(error)
        log.exception("job failed", code=outcome.code)
        jobs.fail(job.id, job.attempt, outcome, measure(job, started))
    finally:
        structlog.contextvars.clear_contextvars()


def run_model(job: Job, jobs: JobStore, storage: ObjectStore) -> Result:
    """Animate the job's photo and report each denoising step."""
    request = job.request
    photo = open_photo(storage.get_bytes(job.input_key))
    pipe = serving_pipeline(settings)

    def report(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> dict[str, Any]:
        steps = request.num_inference_steps
        if not jobs.report_progress(job.id, job.attempt, step + 1, steps, f"denoising step {step + 1} of {steps}"):
            raise Overtaken(job.id)
        return state

    started = time.monotonic()
    frames = pipe(
        photo,
        request.prompt,
        request.negative_prompt,
        motion_intensity=request.motion_intensity,
        seed=request.seed,
        num_inference_steps=request.num_inference_steps,
        guidance_scale=request.guidance_scale,
        noise_refinement=DCTInit() if request.noise_refinement else None,
        callback_on_step_end=report,
    )
    return Result(frames, pipe.revision, milliseconds_since(started))


def open_photo(data: bytes) -> Image.Image:
    """Decode the stored input; raises `InvalidImage` where it is no picture."""
    try:
        photo = Image.open(io.BytesIO(data))
        photo.load()
    except (UnidentifiedImageError, OSError) as error:
        raise InvalidImage(f"the stored input cannot be decoded: {error}") from error
    return photo


def measure(job: Job, started: float, model_ms: int | None = None) -> JobMetrics:
    return JobMetrics(queue_ms=job.metrics.queue_ms, execution_ms=milliseconds_since(started), gpu_ms=model_ms)


def milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
