"""The operations of the API, each as a `Call`."""

import os
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from cinemo_core.training.config import TrainConfig
from service.client.protocol import Call, segment
from service.jobs.model import JobKind
from service.jobs.states import JobStatus
from service.schemas.jobs import AnimateJob, Job, JobList, TrainJob
from service.schemas.models import Model, ModelList

M = TypeVar("M", bound=BaseModel)

Picture = str | os.PathLike[str] | bytes
"""A path, the bytes of a file, or an http(s) URL that the service fetches."""

ANY_JOB: TypeAdapter[Job] = TypeAdapter(Job)


def reader(model: type[M]) -> Callable[[bytes], M]:
    """Reads a model; members that a newer service adds are no error."""
    return lambda content: model.model_validate_json(content, extra="ignore")


def read_job(content: bytes) -> Job:
    """Read a job of any kind."""
    return ANY_JOB.validate_json(content, extra="ignore")


def nothing(content: bytes) -> None:
    """Read an answer that has no body."""


def terms(idempotency_key: str | None, cancel_after: str | None) -> dict[str, str]:
    """The headers of a request that makes a job; the key is what makes it safe to send again."""
    headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
    return {**headers, "Cancel-After": cancel_after} if cancel_after else headers


def animate(
    image: Picture, prompt: str, parameters: Mapping[str, Any], idempotency_key: str | None, cancel_after: str | None
) -> Call[AnimateJob]:
    fields = {"prompt": prompt, **parameters}
    headers = terms(idempotency_key, cancel_after)
    return Call("POST", "/animate", reader(AnimateJob), headers=headers, body=with_picture("image", image, fields))


def with_picture(name: str, picture: Picture, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON body where the service fetches the picture, else a form with its bytes."""
    if isinstance(picture, str) and picture.startswith(("http://", "https://")):
        return {"json": {f"{name}_url": picture, **fields}}
    data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    return {"data": {key: form_value(value) for key, value in fields.items()}, "files": {name: data}}


def form_value(value: Any) -> str:
    """A field of a form."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def train(
    config: TrainConfig | Mapping[str, Any], idempotency_key: str | None, cancel_after: str | None
) -> Call[TrainJob]:
    body = config.model_dump(mode="json") if isinstance(config, TrainConfig) else dict(config)
    headers = terms(idempotency_key, cancel_after)
    return Call("POST", "/train", reader(TrainJob), headers=headers, body={"json": body})


def get_job(job_id: str, wait: int | None = None) -> Call[Job]:
    query = {} if wait is None else {"wait": wait}
    return Call("GET", f"/jobs/{segment(job_id)}", read_job, query, wait_seconds=wait or 0)


def list_jobs(
    cursor: str | None,
    status: JobStatus | str | None,
    kind: JobKind | None,
    created_after: datetime | None,
    created_before: datetime | None,
    page_size: int,
) -> Call[JobList]:
    query = {
        "cursor": cursor,
        "status": status,
        "kind": kind,
        "created_after": created_after and created_after.isoformat(),
        "created_before": created_before and created_before.isoformat(),
        "limit": page_size,
    }
    given = {name: value for name, value in query.items() if value is not None}
    return Call("GET", "/jobs", reader(JobList), given)


def cancel_job(job_id: str) -> Call[Job]:
    return Call("POST", f"/jobs/{segment(job_id)}/cancel", read_job)


def rerun_job(job_id: str, overrides: Mapping[str, Any], idempotency_key: str | None) -> Call[Job]:
    headers = terms(idempotency_key, None)
    return Call("POST", f"/jobs/{segment(job_id)}/rerun", read_job, headers=headers, body={"json": dict(overrides)})


def list_models() -> Call[list[Model]]:
    return Call("GET", "/models", lambda content: reader(ModelList)(content).models)


def delete_model(model: str) -> Call[None]:
    return Call("DELETE", f"/models/{segment(model)}", nothing)


def listen(job_id: str, after: str | None) -> Call[None]:
    """The events of a job as a stream, which is quiet for a quarter of a minute at most."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
    return Call("GET", f"/jobs/{segment(job_id)}/events", nothing, headers=headers)
