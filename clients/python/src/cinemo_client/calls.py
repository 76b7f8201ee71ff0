"""The operations of the API, each as a `Call`."""

import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, TypeAdapter

from cinemo_client.models import (
    AnimateJob,
    Delivery,
    DeliveryList,
    DeliveryStatus,
    EditJob,
    Job,
    JobList,
    JobStatus,
    Model,
    ModelList,
    Redelivered,
    TrainConfig,
    TrainJob,
    Upload,
    UsageReport,
    Validation,
)
from cinemo_client.protocol import Call, segment

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

File = str | os.PathLike[str] | bytes
"""A path, or the bytes of a file."""
Picture = File | Upload
"""The same, an http(s) URL that the service fetches, or what was uploaded before."""
JobKind = Literal["animate", "edit", "train"]

ANY_JOB: TypeAdapter[Job] = TypeAdapter(Job)
ANY_VALIDATION: TypeAdapter[Validation] = TypeAdapter(Validation)


def reader(model: type[M]) -> Callable[[bytes], M]:
    """Reads a model."""
    return model.model_validate_json


def read_job(content: bytes) -> Job:
    """Read a job of any kind."""
    return ANY_JOB.validate_json(content)


def read_validation(content: bytes) -> Validation:
    """Read the validation of a job of any kind."""
    return ANY_VALIDATION.validate_json(content)


def nothing(content: bytes) -> None:
    """Read an answer that has no body."""


def terms(idempotency_key: str | None, cancel_after: str | None) -> dict[str, str]:
    """The headers of a request that makes a job; the key is what makes it safe to send again."""
    headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
    return {**headers, "Cancel-After": cancel_after} if cancel_after else headers


def animate(
    image: Picture,
    prompt: str | Sequence[str],
    parameters: Mapping[str, Any],
    idempotency_key: str | None,
    cancel_after: str | None,
) -> Call[AnimateJob]:
    named, files = source("image", "", image)
    body = form_or_json({"prompt": prompt, **parameters, **named}, files)
    return Call("POST", "/animate", reader(AnimateJob), headers=terms(idempotency_key, cancel_after), body=body)


def validation(call: Call[Any], read: Callable[[bytes], T]) -> Call[T]:
    """The call that only checks what a call that makes a job would send."""
    return Call(call.method, call.path, read, {"validate_only": "true"}, body=call.body)


def edit(
    video: File | Upload,
    image: Picture,
    parameters: Mapping[str, Any],
    idempotency_key: str | None,
    cancel_after: str | None,
) -> Call[EditJob]:
    named_video, video_files = source("video", "video_", video)
    named_image, image_files = source("image", "", image)
    body = form_or_json({**parameters, **named_video, **named_image}, {**video_files, **image_files})
    return Call("POST", "/edit", reader(EditJob), headers=terms(idempotency_key, cancel_after), body=body)


def upload(file: File) -> Call[Upload]:
    return Call("POST", "/uploads", reader(Upload), body=form_or_json({}, {"file": content_of(file)}))


def source(name: str, prefix: str, given: Picture) -> tuple[dict[str, str], dict[str, bytes]]:
    """The field that names a picture or a video, or else the file that it is sent as."""
    if isinstance(given, Upload):
        return {f"{prefix}upload_id": given.id}, {}
    if isinstance(given, str) and given.startswith(("http://", "https://")):
        return {f"{name}_url": given}, {}
    return {}, {name: content_of(given)}


def content_of(file: File) -> bytes:
    return file if isinstance(file, bytes) else Path(file).read_bytes()


def form_or_json(fields: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """A JSON body, or where there are files a form, in which everything that is not text is written as JSON."""
    if not files:
        return {"json": dict(fields)}
    text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return {"data": text, "files": dict(files)}


def train(
    config: TrainConfig | Mapping[str, Any], idempotency_key: str | None, cancel_after: str | None
) -> Call[TrainJob]:
    body = config.model_dump(mode="json", exclude_unset=True) if isinstance(config, TrainConfig) else dict(config)
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


def remove_job(job_id: str) -> Call[None]:
    return Call("DELETE", f"/jobs/{segment(job_id)}", nothing)


def get_preview(job_id: str) -> Call[bytes]:
    return Call("GET", f"/jobs/{segment(job_id)}/preview", bytes)


def list_deliveries(job_id: str) -> Call[list[Delivery]]:
    path = f"/jobs/{segment(job_id)}/deliveries"
    return Call("GET", path, lambda content: reader(DeliveryList)(content).deliveries)


def redeliver_job(job_id: str, status: DeliveryStatus | None) -> Call[int]:
    query = {} if status is None else {"status": status}
    return Call("POST", f"/jobs/{segment(job_id)}/redeliver", read_redelivered, query)


def redeliver(after: datetime, before: datetime | None, status: DeliveryStatus | None) -> Call[int]:
    moments = {"after": after.isoformat(), "before": before and before.isoformat(), "status": status}
    body = {name: value for name, value in moments.items() if value is not None}
    return Call("POST", "/webhooks/redeliver", read_redelivered, body={"json": body})


def read_redelivered(content: bytes) -> int:
    return reader(Redelivered)(content).redelivered


def list_models() -> Call[list[Model]]:
    return Call("GET", "/models", lambda content: reader(ModelList)(content).models)


def get_usage(first: date | None, last: date | None, by: Sequence[str], tenant: str | None) -> Call[UsageReport]:
    query = {"from": first and first.isoformat(), "to": last and last.isoformat(), "by": list(by), "tenant": tenant}
    given = {name: value for name, value in query.items() if value is not None}
    return Call("GET", "/usage", reader(UsageReport), given)


def delete_model(model: str) -> Call[None]:
    return Call("DELETE", f"/models/{segment(model)}", nothing)


def listen(job_id: str, after: str | None) -> Call[None]:
    """The events of a job as a stream, which is quiet for a quarter of a minute at most."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
    return Call("GET", f"/jobs/{segment(job_id)}/events", nothing, headers=headers)
