"""From frames to the job's three files in the storage: video, poster, manifest."""

import json
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinemo_core import write_poster, write_video
from cinemo_core.media import frame_rate
from service.jobs.model import Job, JobOutput, StoredFile, StoredVideo
from service.jobs.requests import ClipRequest, VideoFormat
from service.storage import ObjectStore, StoredObject
from service.tracing import span

CONTENT_TYPES: dict[VideoFormat, str] = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "gif": "image/gif",
    "webp": "image/webp",
}
LIBRARIES = ("torch", "diffusers", "transformers", "numpy")


@dataclass(frozen=True)
class Result:
    """What the model made: frames `(f, h, w, 3)` uint8, by which weights, in how many milliseconds."""

    frames: NDArray[np.uint8]
    model_revision: str
    model_ms: int


def upload(job: Job, result: Result, storage: ObjectStore) -> JobOutput:
    """Encode and store; returns only once the storage says that each file arrived whole."""
    request = job.request
    assert isinstance(request, ClipRequest)
    prefix, name = f"jobs/{job.id}/{job.attempt}", f"video.{request.format}"
    with tempfile.TemporaryDirectory(prefix="cinemo-") as folder:
        video_path, poster_path = Path(folder, name), Path(folder, "poster.jpg")
        with span("encode"):
            write_video(video_path, result.frames, request.fps)
            write_poster(poster_path, result.frames[len(result.frames) // 2])
        with span("upload"):
            video = storage.put_file(f"{prefix}/{name}", video_path, CONTENT_TYPES[request.format])
            poster = storage.put_file(f"{prefix}/poster.jpg", poster_path, "image/jpeg")
            manifest_bytes = json.dumps(describe(job, result, video, poster), indent=2).encode()
            manifest = storage.put_bytes(f"{prefix}/manifest.json", manifest_bytes, "application/json")
    frames, height, width, _ = result.frames.shape
    fps = frame_rate(name, request.fps)
    return JobOutput(
        video=StoredVideo(**vars(video), width=width, height=height, frames=frames, fps=fps, seconds=frames / fps),
        poster=StoredFile(**vars(poster)),
        manifest=StoredFile(**vars(manifest)),
    )


def describe(job: Job, result: Result, video: StoredObject, poster: StoredObject) -> dict[str, Any]:
    """Everything needed to make the same video again, and how long it took."""
    return {
        "job": job.id,
        "attempt": job.attempt,
        "input": job.input_key,
        "video": job.video_key,
        "request": job.request.model_dump(mode="json"),
        "model": {"name": job.model, "revision": result.model_revision},
        "files": {"video": vars(video), "poster": vars(poster)},
        "timings": {"model_ms": result.model_ms},
        "versions": {name: version(name) for name in ("cinemo", *LIBRARIES)},
    }
