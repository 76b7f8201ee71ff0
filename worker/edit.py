"""The edit task: transfer the motion of the job's video to its picture and store the clip."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from cinemo_core.arguments import arguments_of
from cinemo_core.clips import read_clip
from cinemo_core.film import Film
from cinemo_core.media import Frames, prepare_frame
from cinemo_spec.formats import Sizes
from service.contract.record import Job
from service.contract.requests import EditRequest
from service.observability.tracing import span
from service.store.queue import QUEUES
from worker.app import app
from worker.clip import compute, make_clip, sizes_of
from worker.dependencies import media_limits, object_store
from worker.inputs import read_photo
from worker.lease import check_lease
from worker.pipelines import pipeline_of
from worker.progress import step_reporter
from worker.run import run_next
from worker.upload import Result


@app.task(name=QUEUES["edit"])
def edit(job_id: str) -> None:
    """Run the next edit job, which need not be the one in the message."""
    run_next("edit", partial(make_clip, run_model=run_model))


def run_model(job: Job) -> Result:
    """Invert the source, animate the picture, and report each step of both."""
    request = job.request
    assert isinstance(request, EditRequest)
    pipe = pipeline_of(job)
    with span("load input"):
        photo = read_photo(job)
        sizes = sizes_of(job, photo, pipe)
        source, rate = read_source(job, request, sizes)
    arguments = {**arguments_of(request), "width": sizes.video[0], "height": sizes.video[1]}

    def edit_video(decode_chunk_frames: int) -> Film:
        return pipe.edit_film(
            source,
            photo,
            request.prompt,
            callback_on_step_end=step_reporter(job),
            decode_chunk_frames=decode_chunk_frames,
            **arguments,
        )

    return compute(job, pipe, request.fps_after(rate), edit_video)


def read_source(job: Job, request: EditRequest, sizes: Sizes) -> tuple[Frames, float]:
    """The requested frames of the job's video, each resized to the model's size when decoded, and its frame rate."""
    assert job.video_key is not None
    with tempfile.TemporaryDirectory(prefix="cinemo-") as folder:
        path = Path(folder, f"video{Path(job.video_key).suffix}")
        object_store().get_file(job.video_key, path)
        rates: list[float] = []
        clip = read_clip(path, request.frames, request.frame_interval, media_limits(), check_lease, rates.append)
        return np.stack([prepare_frame(frame, sizes, request.fit) for frame in clip]), rates[0]
