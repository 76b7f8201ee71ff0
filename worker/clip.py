"""What animate and edit jobs share: reuse an identical job's output, or run the model and store the video."""

import time
from collections.abc import Callable
from functools import partial

from PIL import Image

from cinemo_core import CinemoPipeline
from cinemo_core.film import Film
from cinemo_spec.formats import Sizes
from service.contract.record import Job
from service.contract.requests import ClipRequest
from service.observability.tracing import span
from service.store.keys import result_key
from worker import reuse
from worker.app import settings
from worker.counting import count_device_time
from worker.dependencies import object_store
from worker.job_threads import job_threads
from worker.lease import Lease
from worker.lifecycle import off_device
from worker.memory import retry_with_less_memory
from worker.pipelines import pipeline_of, pipelines
from worker.run import JobResult, milliseconds_since
from worker.signing_key import signing_key
from worker.upload import Result, upload


def make_clip(job: Job, lease: Lease, run_model: Callable[[Job], Result]) -> JobResult:
    """Create a job's video, poster and manifest.

    Raises:
        SigningUnavailable: videos must be signed, and there is no valid key; the model hasn't run.
    """
    key = signing_key()
    digest = reuse.result_digest(job, pipeline_of(job), object_store(), key)
    if digest:
        job_threads.expect(result_key(job.tenant, digest), job.options.reuse, partial(off_device, job))
    again = reuse.reuse_output(job, digest, object_store()) if digest and job.options.reuse else None
    if again:
        earlier, output = again
        return JobResult(output, 0, digest, reused_from=earlier.id)
    result = run_model(job)
    lease.check()
    output = upload(job, result, object_store())
    # Don't reuse an unsigned output, because a later one may be signed.
    return JobResult(output, result.model_ms, None if output.signing and not output.signing.signed else digest)


def sizes_of(job: Job, photo: Image.Image, pipe: CinemoPipeline) -> Sizes:
    """The sizes of the job's video and of the model's frames."""
    request = job.request
    assert isinstance(request, ClipRequest)
    return pipe.sizes(photo.size, request.width, request.height, request.detail, settings.max_output_pixels)


def compute(job: Job, pipe: CinemoPipeline, fps: float, run: Callable[[int], Film]) -> Result:
    """Call `run` with the number of frames to decode at once, measure the time, and return the film."""
    assert isinstance(job.request, ClipRequest)
    started = time.monotonic()
    with count_device_time(job.kind), span("model", model=job.model, steps=job.request.total_steps):
        film = retry_with_less_memory(run, pipelines().unload_published)
    return Result(film, fps, pipe.revision, milliseconds_since(started))
