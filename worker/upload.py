"""Stores a film as the job's files: video, poster, manifest, and the credentials of a video that can't contain them."""

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cinemo_core.encoding import frame_rate, frames_written
from cinemo_core.film import Film
from cinemo_spec.marking.signing import CONTENT_TYPES, SIDECAR_TYPE
from service.contract.record import Job, JobOutput, StoredFile, StoredVideo
from service.contract.requests import ClipRequest
from service.contract.storage_keys import attempt_prefix
from service.observability.tracing import span
from service.storage import ObjectStore, StoredObject, store_bytes
from worker.app import settings
from worker.encode import Encoded, encode
from worker.lifecycle import leave_device
from worker.policy import require_approved
from worker.signing import Signed, sign_files

LIBRARIES = ("torch", "diffusers", "transformers", "numpy")


@dataclass(frozen=True)
class Result:
    """The film, its frames per second, the model's revision, and how long the model took in milliseconds."""

    film: Film
    fps: float
    model_revision: str
    model_ms: int


def upload(job: Job, result: Result, storage: ObjectStore) -> JobOutput:
    """Encode and store the files; returns once each has been verified in the storage.

    Leaves the device once all frames exist, so the next job computes meanwhile.

    Raises:
        JobFailed: the operator's policy refuses the video.
    """
    request, film = job.request, result.film
    assert isinstance(request, ClipRequest)
    prefix, name = attempt_prefix(job.id, job.attempt), f"video.{request.format}"
    with tempfile.TemporaryDirectory(prefix="cinemo-") as temporary:
        folder = Path(temporary)
        if not film.is_composed:
            leave_device(job, folder)
        encoded = encode(job, film, result.fps, folder)
        leave_device(job, folder)
        require_approved(job, encoded.video)
        signed = sign_files(job, result.model_revision, encoded, storage)
        with span("upload"):
            files = {
                "video": (name, encoded.video, CONTENT_TYPES[encoded.video.suffix]),
                "poster": ("poster.jpg", encoded.poster, "image/jpeg"),
                "spritesheet": ("spritesheet.jpg", encoded.spritesheet, "image/jpeg"),
            }
            if signed.sidecar:
                files["credentials"] = ("video.c2pa", signed.sidecar, SIDECAR_TYPE)
            stored = store(files, prefix, storage)
            manifest_bytes = json.dumps(describe(job, result, encoded, signed, stored), indent=2).encode()
            manifest = store_bytes(storage, f"{prefix}manifest.json", manifest_bytes, "application/json")
    width, height = film.size
    frames, fps = frames_written(name, len(film), result.fps), frame_rate(name, result.fps)
    return JobOutput(
        video=StoredVideo(
            **vars(stored["video"]), width=width, height=height, frames=frames, fps=fps, seconds=frames / fps
        ),
        poster=StoredFile(**vars(stored["poster"])),
        spritesheet=StoredFile(**vars(stored["spritesheet"])),
        manifest=StoredFile(**vars(manifest)),
        credentials=StoredFile(**vars(stored["credentials"])) if signed.sidecar else None,
        digital_source_type=encoded.source and encoded.source.url,
        signing=signed.signing,
        watermark_id=settings.watermark_id,
    )


def store(files: dict[str, tuple[str, Path, str]], prefix: str, storage: ObjectStore) -> dict[str, StoredObject]:
    """Store files of these names, paths and content types at the same time, as most of it is spent waiting."""
    with ThreadPoolExecutor(len(files)) as pool:
        started = {
            key: pool.submit(copy_context().run, storage.put_file, prefix + name, path, content_type)
            for key, (name, path, content_type) in files.items()
        }
        return {key: each.result() for key, each in started.items()}


def describe(
    job: Job, result: Result, encoded: Encoded, signed: Signed, stored: dict[str, StoredObject]
) -> dict[str, Any]:
    """The manifest: everything needed to reproduce the video, and timings."""
    film = result.film
    return {
        "job": job.id,
        "attempt": job.attempt,
        "input": job.input_key,
        "video": job.video_key,
        "request": job.request.model_dump(mode="json"),
        "model": {
            "name": job.model,
            "revision": result.model_revision,
            "width": film.model_size[0],
            "height": film.model_size[1],
            "frames": len(film.made),
        },
        "files": {name: vars(each) for name, each in stored.items()},
        "marking": {
            "digital_source_type": encoded.source and encoded.source.url,
            "signing": signed.signing and signed.signing.model_dump(),
            "watermark_id": settings.watermark_id,
        },
        "timings": {
            "model_ms": result.model_ms,
            "detail_and_encoding_ms": encoded.milliseconds,
            "signing_ms": signed.milliseconds,
        },
        "versions": {name: version(name) for name in ("cinemo", *LIBRARIES)},
    }
