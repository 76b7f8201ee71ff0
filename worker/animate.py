"""The animate task: run the model on the job's photo and store the video."""

from functools import partial

from cinemo_core.arguments import arguments_of
from cinemo_core.film import Film
from service.contract.record import Job
from service.contract.requests import AnimateRequest
from service.observability.tracing import span
from service.store.queue import QUEUES
from worker.app import app
from worker.clip import compute, make_clip, sizes_of
from worker.inputs import read_photo
from worker.pipelines import pipeline_of
from worker.progress import step_reporter
from worker.run import run_next
from worker.upload import Result


@app.task(name=QUEUES["animate"])
def animate(job_id: str) -> None:
    """Run the next animate job, which need not be the one in the message."""
    run_next("animate", partial(make_clip, run_model=run_model))


def run_model(job: Job) -> Result:
    """Animate the job's photo and report each denoising step."""
    request = job.request
    assert isinstance(request, AnimateRequest)
    with span("load input"):
        photo = read_photo(job)
    pipe = pipeline_of(job)
    video = sizes_of(job, photo, pipe).video
    arguments = {**arguments_of(request), "width": video[0], "height": video[1]}

    def animate_photo(decode_chunk_frames: int) -> Film:
        return pipe.film(
            photo,
            request.prompt,
            callback_on_step_end=step_reporter(job),
            decode_chunk_frames=decode_chunk_frames,
            **arguments,
        )

    return compute(job, pipe, request.video_fps, animate_photo)
