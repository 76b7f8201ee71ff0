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
"""A file's path or content."""
Picture = File | Upload
"""A file, an http(s) URL that the service fetches, or an earlier upload."""
JobKind = Literal["animate", "edit", "train"]

ANY_JOB: TypeAdapter[Job] = TypeAdapter(Job)
ANY_VALIDATION: TypeAdapter[Validation] = TypeAdapter(Validation)


def parser_of(model: type[M]) -> Callable[[bytes], M]:
    """Parses a response as a model."""
    return model.model_validate_json


def parse_job(content: bytes) -> Job:
    """Parse a job of any kind."""
    return ANY_JOB.validate_json(content)


def parse_validation(content: bytes) -> Validation:
    """Parse the validation of a job of any kind."""
    return ANY_VALIDATION.validate_json(content)


def no_content(content: bytes) -> None:
    """For responses without a body."""


def job_headers(idempotency_key: str | None, cancel_after: str | None) -> dict[str, str]:
    """The headers of a request that creates a job; the idempotency key makes it safe to retry."""
    headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
    return {**headers, "Cancel-After": cancel_after} if cancel_after else headers


def animate(
    image: Picture,
    prompt: str | Sequence[str],
    parameters: Mapping[str, Any],
    idempotency_key: str | None,
    cancel_after: str | None,
) -> Call[AnimateJob]:
    fields, files = source("image", "", image)
    body = form_or_json({"prompt": prompt, **parameters, **fields}, files)
    return Call(
        "POST", "/animate", parser_of(AnimateJob), headers=job_headers(idempotency_key, cancel_after), body=body
    )


def validation(call: Call[Any], parse: Callable[[bytes], T]) -> Call[T]:
    """The call that only validates the request of a call that creates a job."""
    return Call(call.method, call.path, parse, {"validate_only": "true"}, body=call.body)


def edit(
    video: File | Upload,
    image: Picture,
    parameters: Mapping[str, Any],
    idempotency_key: str | None,
    cancel_after: str | None,
) -> Call[EditJob]:
    video_fields, video_files = source("video", "video_", video)
    image_fields, image_files = source("image", "", image)
    body = form_or_json({**parameters, **video_fields, **image_fields}, {**video_files, **image_files})
    return Call("POST", "/edit", parser_of(EditJob), headers=job_headers(idempotency_key, cancel_after), body=body)


def upload(file: File) -> Call[Upload]:
    return Call("POST", "/uploads", parser_of(Upload), body=form_or_json({}, {"file": content_of(file)}))


def source(name: str, prefix: str, given: Picture) -> tuple[dict[str, str], dict[str, bytes]]:
    """The form field that refers to a picture or video, or else the file to send."""
    if isinstance(given, Upload):
        return {f"{prefix}upload_id": given.id}, {}
    if isinstance(given, str) and given.lower().startswith(("http://", "https://")):
        return {f"{name}_url": given}, {}
    return {}, {name: content_of(given)}


def content_of(file: File) -> bytes:
    return file if isinstance(file, bytes) else Path(file).read_bytes()


def form_or_json(fields: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """A JSON body, or if there are files a form, whose fields are JSON unless they are text; it has no null."""
    if not files:
        return {"json": dict(fields)}
    given = {name: value for name, value in fields.items() if value is not None}
    text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    return {"data": text, "files": dict(files)}


def train(
    config: TrainConfig | Mapping[str, Any], idempotency_key: str | None, cancel_after: str | None
) -> Call[TrainJob]:
    body = config.model_dump(mode="json", exclude_unset=True) if isinstance(config, TrainConfig) else dict(config)
    headers = job_headers(idempotency_key, cancel_after)
    return Call("POST", "/train", parser_of(TrainJob), headers=headers, body={"json": body})


def get_job(job_id: str, wait: int | None = None) -> Call[Job]:
    query = {} if wait is None else {"wait": wait}
    return Call("GET", f"/jobs/{segment(job_id)}", parse_job, query, wait_seconds=wait or 0)


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
    return Call("GET", "/jobs", parser_of(JobList), given)


def cancel_job(job_id: str) -> Call[Job]:
    return Call("POST", f"/jobs/{segment(job_id)}/cancel", parse_job)


def rerun_job(job_id: str, overrides: Mapping[str, Any], idempotency_key: str | None) -> Call[Job]:
    headers = job_headers(idempotency_key, None)
    return Call("POST", f"/jobs/{segment(job_id)}/rerun", parse_job, headers=headers, body={"json": dict(overrides)})


def remove_job(job_id: str) -> Call[None]:
    return Call("DELETE", f"/jobs/{segment(job_id)}", no_content)


def get_preview(job_id: str) -> Call[bytes]:
    return Call("GET", f"/jobs/{segment(job_id)}/preview", bytes)


def list_deliveries(job_id: str) -> Call[list[Delivery]]:
    path = f"/jobs/{segment(job_id)}/deliveries"
    return Call("GET", path, lambda content: parser_of(DeliveryList)(content).deliveries)


def redeliver_job(job_id: str, status: DeliveryStatus | None) -> Call[int]:
    query = {} if status is None else {"status": status}
    return Call("POST", f"/jobs/{segment(job_id)}/redeliver", parse_redelivered, query)


def redeliver(after: datetime, before: datetime | None, status: DeliveryStatus | None) -> Call[int]:
    moments = {"after": after.isoformat(), "before": before and before.isoformat(), "status": status}
    body = {name: value for name, value in moments.items() if value is not None}
    return Call("POST", "/webhooks/redeliver", parse_redelivered, body={"json": body})


def parse_redelivered(content: bytes) -> int:
    return parser_of(Redelivered)(content).redelivered


def list_models() -> Call[list[Model]]:
    return Call("GET", "/models", lambda content: parser_of(ModelList)(content).models)


def get_usage(first: date | None, last: date | None, by: Sequence[str], tenant: str | None) -> Call[UsageReport]:
    query = {"from": first and first.isoformat(), "to": last and last.isoformat(), "by": list(by), "tenant": tenant}
    given = {name: value for name, value in query.items() if value is not None}
    return Call("GET", "/usage", parser_of(UsageReport), given)


def delete_model(model: str) -> Call[None]:
    return Call("DELETE", f"/models/{segment(model)}", no_content)


def stream_events(job_id: str, after: str | None) -> Call[None]:
    """A job's events as a stream, which is never silent for longer than 15 seconds, so the usual timeout is enough."""
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": after} if after else {})
    return Call("GET", f"/jobs/{segment(job_id)}/events", no_content, headers=headers)
