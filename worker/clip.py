"""What all jobs share that make a clip: reuse an equal job's output, or run the model and store what it made."""

import time
from collections.abc import Callable

from cinemo_core import CinemoPipeline
from cinemo_core.media import Frames
from service.jobs.model import Job
from service.jobs.requests import ClipRequest
from service.tracing import span
from worker import reuse
from worker.counting import on_device
from worker.lease import Lease
from worker.memory import frugally
from worker.parts import object_store
from worker.pipelines import pipelines
from worker.run import Made, milliseconds_since
from worker.upload import Result, upload


def make_clip(job: Job, lease: Lease, run_model: Callable[[Job], Result]) -> Made:
    """Video, poster and manifest of a job."""
    digest = reuse.result_digest(job, pipelines().get(job.model, job.tenant), object_store())
    again = reuse.give_again(job, digest, object_store()) if digest and job.options.reuse else None
    if again:
        earlier, output = again
        return Made(output, 0, digest, reused_from=earlier.id)
    result = run_model(job)
    lease.check()
    return Made(upload(job, result, object_store()), result.model_ms, digest)


def compute(job: Job, pipe: CinemoPipeline, frames_by: Callable[[int], Frames]) -> Result:
    """Have the model make the frames, given how many to decode at once, and take the time that it has the device."""
    assert isinstance(job.request, ClipRequest)
    started = time.monotonic()
    with on_device(job.kind), span("model", model=job.model, steps=job.request.total_steps):
        frames = frugally(frames_by, pipelines().let_go)
    return Result(frames, pipe.revision, milliseconds_since(started))
