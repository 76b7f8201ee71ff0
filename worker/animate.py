"""The animate task: run the model on the job's photo and store the video."""

import io
import time
from typing import Any

import structlog
from celery.signals import worker_init
from PIL import Image, UnidentifiedImageError

from cinemo_core import CinemoPipeline, DCTInit, InvalidImage
from service.errors import QueueUnavailable
from service.jobs.model import Job, JobOutput, Progress
from service.jobs.queue import QUEUES
from service.jobs.requests import AnimateRequest
from service.tracing import span
from worker.app import app, settings
from worker.lease import Lease
from worker.outcome import require_held
from worker.parts import job_store, object_store, pipelines
from worker.run import milliseconds_since, run_next
from worker.upload import Result, upload

log = structlog.get_logger()


@worker_init.connect
def load_model(sender: Any, **_: Any) -> None:
    """Load the service's own model before the first job is taken, so that no job waits for it."""
    if QUEUES["animate"] in sender.app.amqp.queues.consume_from:
        pipelines().get(settings.model)


@app.task(name=QUEUES["animate"])
def animate(job_id: str) -> None:
    """Run the animate job that is next; the one that the message names may have to wait, or is done."""
    run_next("animate", make_video)


def make_video(job: Job, lease: Lease) -> tuple[JobOutput, int]:
    """Animate the job's photo and store video, poster and manifest."""
    result = run_model(job)
    lease.check()
    return upload(job, result, object_store()), result.model_ms


def run_model(job: Job) -> Result:
    """Animate the job's photo and report each denoising step."""
    request = job.request
    assert isinstance(request, AnimateRequest)
    assert job.input_key is not None
    with span("load input"):
        photo = open_photo(object_store().get_bytes(job.input_key))
    pipe = pipelines().get(request.model, job.tenant)
    steps = request.num_inference_steps

    def report(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> dict[str, Any]:
        done = step + 1
        message = f"denoising step {done} of {steps}"
        progress = Progress(step=done, steps=steps, fraction=done / steps, message=message)
        try:
            require_held(job_store().report_progress(job, progress))
        except QueueUnavailable as error:
            # The work goes on without being watched; whether the job is still held is asked before it ends.
            log.warning("progress not reported", error=error.detail)
        return state

    started = time.monotonic()
    with span("model", model=request.model, steps=steps):
        frames = pipe(
            photo,
            request.prompt,
            request.negative_prompt,
            motion_intensity=request.motion_intensity,
            seed=request.seed,
            num_inference_steps=steps,
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
