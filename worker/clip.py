"""What all jobs share that make a clip: reuse an equal job's output, or run the model and store what it made."""

import time
from collections.abc import Callable

from PIL import Image

from cinemo_core import CinemoPipeline
from cinemo_core.film import Film
from cinemo_spec.formats import Sizes
from service.contract.record import Job
from service.contract.requests import ClipRequest
from service.observability.tracing import span
from worker import reuse
from worker.app import settings
from worker.counting import on_device
from worker.dependencies import object_store
from worker.lease import Lease
from worker.memory import retry_with_less_memory
from worker.pipelines import pipelines
from worker.run import JobResult, milliseconds_since
from worker.upload import Result, upload


def make_clip(job: Job, lease: Lease, run_model: Callable[[Job], Result]) -> JobResult:
    """Video, poster and manifest of a job."""
    digest = reuse.result_digest(job, pipelines().get(job.model, job.tenant), object_store())
    again = reuse.give_again(job, digest, object_store()) if digest and job.options.reuse else None
    if again:
        earlier, output = again
        return JobResult(output, 0, digest, reused_from=earlier.id)
    result = run_model(job)
    lease.check()
    return JobResult(upload(job, result, object_store()), result.model_ms, digest)


def sizes_of(job: Job, photo: Image.Image, pipe: CinemoPipeline) -> Sizes:
    """Of the job's video, and of what the model makes for it."""
    request = job.request
    assert isinstance(request, ClipRequest)
    return pipe.sizes(photo.size, request.width, request.height, request.detail, settings.max_output_pixels)


def compute(job: Job, pipe: CinemoPipeline, fps: float, film_by: Callable[[int], Film]) -> Result:
    """Have the model make a film, given how many frames to decode at once, and take the time that it has the device."""
    assert isinstance(job.request, ClipRequest)
    started = time.monotonic()
    with on_device(job.kind), span("model", model=job.model, steps=job.request.total_steps):
        film = retry_with_less_memory(film_by, pipelines().let_go)
    return Result(film, fps, pipe.revision, milliseconds_since(started))
