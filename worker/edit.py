"""The edit task: give the motion of the job's video to its picture and store the clip."""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from cinemo_core import CinemoPipeline
from cinemo_core.media import Frames, prepare_image, read_clip
from service.jobs.model import Job
from service.jobs.queue import QUEUES
from service.jobs.requests import EditRequest
from service.tracing import span
from worker.app import app, settings
from worker.clip import compute, make_clip
from worker.inputs import read_photo
from worker.lease import Lease
from worker.parts import object_store
from worker.pipelines import pipelines
from worker.progress import step_reporter
from worker.run import Made, run_next
from worker.upload import Result


@app.task(name=QUEUES["edit"])
def edit(job_id: str) -> None:
    """Run the edit job that is next; the one that the message names may have to wait, or is done."""
    run_next("edit", make_edit)


def make_edit(job: Job, lease: Lease) -> Made:
    """Edit, and store video, poster and manifest."""
    return make_clip(job, lease, run_model)


def run_model(job: Job) -> Result:
    """Invert the source and animate the picture, and report each step of both."""
    request = job.request
    assert isinstance(request, EditRequest)
    pipe = pipelines().get(request.model, job.tenant)
    with span("load input"):
        photo, source = read_photo(job), read_source(job, request, pipe)

    def edited(frames_at_once: int) -> Frames:
        return pipe.edit(
            source,
            photo,
            request.prompt,
            request.motion_intensity,
            request.num_inference_steps,
            step_reporter(job, request.total_steps),
            width=request.width,
            height=request.height,
            fit=request.fit,
            decode_chunk_frames=frames_at_once,
        )

    return compute(job, pipe, edited)


def read_source(job: Job, request: EditRequest, pipe: CinemoPipeline) -> Frames:
    """The frames of the job's video that are wanted, each brought to the clip's size as it is decoded."""
    assert job.video_key is not None
    width, height = pipe.size(request.width, request.height)
    with tempfile.TemporaryDirectory(prefix="cinemo-") as folder:
        path = Path(folder, f"video{Path(job.video_key).suffix}")
        object_store().get_file(job.video_key, path)
        clip = read_clip(path, request.frames, request.frame_interval, settings.max_video_pixels)
        sized = (prepare_image(Image.fromarray(frame), width, height, request.fit) for frame in clip)
        return np.stack([np.asarray(frame) for frame in sized])
