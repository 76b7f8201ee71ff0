"""The synchronous client. Generated from `aio.py` by `make generate`: do not edit."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar, cast

import httpx
from typing_extensions import Self, Unpack  # pydantic depends on it; Python has both since 3.11

from cinemo_client import calls
from cinemo_client.calls import File, JobKind, Picture
from cinemo_client.errors import CinemoError, NotFound, error_of
from cinemo_client.handles import FileName, file_of, require_success
from cinemo_client.models import (
    AnimateJob,
    AnimateValidation,
    Delivery,
    DeliveryStatus,
    EditJob,
    EditValidation,
    Event,
    Job,
    JobStatus,
    Model,
    TrainConfig,
    TrainJob,
    TrainValidation,
    Upload,
    UsageReport,
    Validation,
)
from cinemo_client.parameters import AnimateParameters, EditParameters
from cinemo_client.protocol import Call, Connection, Pages, Pause, Steps, exchange, unreachable, until_ended
from cinemo_client.streams import Download, EventStream, Stream

T = TypeVar("T")
J = TypeVar("J", bound=Job)


class Transport:
    """Carries out the steps of the protocol over HTTP, with its own connections unless it is given `http`."""

    def __init__(self, connection: Connection, http: httpx.Client | None = None) -> None:
        self.connection = connection
        self.http = http or httpx.Client()

    def call(self, call: Call[T]) -> T:
        return self.run(exchange(call, self.connection))

    def run(self, steps: Steps[T]) -> T:
        """Carry out the steps; returns their result."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = steps.send(None)
                    continue
                try:
                    response = self.http.send(step)
                except httpx.TransportError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as done:
            return cast(T, done.value)

    def stream(self, stream: Stream[T]) -> Iterator[T]:
        """A stream's items, over as many connections as needed."""
        while not stream.done:
            try:
                response = self.http.send(stream.request(), stream=True)
                try:
                    if not response.is_success:
                        response.read()
                        raise error_of(response)
                    for chunk in response.iter_bytes():
                        for item in stream.feed(chunk):
                            yield item
                finally:
                    response.close()
                if steps := stream.closed():
                    self.run(steps)
            except httpx.TransportError as error:
                time.sleep(stream.failed(unreachable(error)))
            except CinemoError as error:
                time.sleep(stream.failed(error))


class JobHandle(Generic[J]):
    """A job of the service; `job` is its state when it was last fetched."""

    def __init__(self, job: J, transport: Transport) -> None:
        self.job = job
        self._transport = transport

    @property
    def id(self) -> str:
        return self.job.id

    def refresh(self) -> J:
        """Fetch the job's current state."""
        return self._update(self._transport.call(calls.get_job(self.id)))

    def wait(self, timeout: float | None = None) -> J:
        """Return once the job has succeeded.

        Raises:
            JobNotSucceeded: it failed, was canceled or expired.
            WaitTimedOut: it has not ended within `timeout` seconds; it is still queued or running.
        """
        steps = until_ended(lambda wait: calls.get_job(self.id, wait), self._transport.connection, timeout)
        self._update(self._transport.run(steps))
        require_success(self.job)
        return self.job

    def events(self, after: str | None = None) -> Iterator[Event]:
        """The job's events, from the first or after the event with a given ID, until it has ended.

        A lost connection is replaced, and the events resume where it broke.
        """
        return self._transport.stream(EventStream(self.id, after, self._transport.connection))

    def cancel(self) -> J:
        """Cancel the job; has no effect if it has ended."""
        return self._update(self._transport.call(calls.cancel_job(self.id)))

    def rerun(self, *, idempotency_key: str | None = None, **overrides: Any) -> "JobHandle[J]":
        """Run the job again as a new one, with the given overrides."""
        job = self._transport.call(calls.rerun_job(self.id, overrides, idempotency_key))
        return JobHandle(cast(J, job), self._transport)

    def validate_rerun(self, **overrides: Any) -> Validation:
        """Validate what `rerun` would send: returns it with its defaults and estimated times, and stores nothing."""
        call = calls.rerun_job(self.id, overrides, None)
        return self._transport.call(calls.validation(call, calls.parse_validation))

    def remove(self) -> None:
        """Delete the job's files, now or once it has stopped; its record stays until it expires."""
        self._transport.call(calls.remove_job(self.id))

    def preview(self) -> bytes | None:
        """The latest preview of a running job sent with `preview=True`, an animated WebP; None if there is none."""
        try:
            return self._transport.call(calls.get_preview(self.id))
        except NotFound:
            return None

    def deliveries(self) -> list[Delivery]:
        """The job's webhook deliveries, with each attempt."""
        return self._transport.call(calls.list_deliveries(self.id))

    def redeliver(self, status: DeliveryStatus | None = None) -> int:
        """Send the job's webhooks again, with the same IDs; returns how many."""
        return self._transport.call(calls.redeliver_job(self.id, status))

    def download(self, path: str | Path, file: FileName = "video") -> Path:
        """Wait for the job, then download one of its files and verify its checksum.

        Raises:
            JobNotSucceeded: it failed, was canceled or expired, so there is nothing to download.
            NotFound: the job has no such file. A video has `credentials` only if they are a separate file.
            DownloadCorrupt: the file doesn't match the job's checksum.
        """
        download = Download(file_of(self.wait(), file), Path(path), self._transport.connection)
        for _ in self._transport.stream(download):
            pass
        return Path(path)

    def _update(self, job: Job) -> J:
        self.job = cast(J, job)
        return self.job


class Client:
    """A client of the service at a URL. Close it, or use it as a context manager.

    Args:
        url: URL of the service.
        api_key: An API key from `cinemo keys create`; none if the service runs without keys.
        timeout: Seconds that the service may take to respond.
        retries: How often a call is retried if the service is unreachable or responds with `Retry-After`.
    """

    def __init__(self, url: str, api_key: str | None = None, *, timeout: float = 30.0, retries: int = 4) -> None:
        self._transport = Transport(Connection(url, api_key, timeout, retries))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.http.close()

    def animate(
        self,
        image: Picture,
        prompt: str | Sequence[str],
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
        **parameters: Unpack[AnimateParameters],
    ) -> JobHandle[AnimateJob]:
        """Animate a photo: a path, bytes, a URL that the service fetches, or an upload.

        Args:
            image: The photo.
            prompt: What happens in the video, or in each of its clips.
            idempotency_key: Identifies the request, so that it creates one job even if it is sent again after a crash.
            cancel_after: Time until the job is canceled, such as `90s`, `5m` or `1h`.
            parameters: Other fields of `POST /animate`.
        """
        call = calls.animate(image, prompt, parameters, idempotency_key, cancel_after)
        return JobHandle(self._transport.call(call), self._transport)

    def validate_animate(
        self, image: Picture, prompt: str | Sequence[str], **parameters: Unpack[AnimateParameters]
    ) -> AnimateValidation:
        """Validate what `animate` would send: returns it with its defaults and estimated times, and stores nothing."""
        call = calls.animate(image, prompt, parameters, None, None)
        return self._transport.call(calls.validation(call, calls.parser_of(AnimateValidation)))

    def edit(
        self,
        video: File | Upload,
        image: Picture,
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
        **parameters: Unpack[EditParameters],
    ) -> JobHandle[EditJob]:
        """Transfer a video's motion to another first frame; the other arguments are those of `animate`.

        Args:
            video: A path, bytes, or an upload.
            image: The video's own first frame, edited, or any photo, as `animate` takes it.
            idempotency_key: Identifies the request.
            cancel_after: Time until the job is canceled.
            parameters: Other fields of `POST /edit`.
        """
        call = calls.edit(video, image, parameters, idempotency_key, cancel_after)
        return JobHandle(self._transport.call(call), self._transport)

    def validate_edit(
        self, video: File | Upload, image: Picture, **parameters: Unpack[EditParameters]
    ) -> EditValidation:
        """Validate what `edit` would send."""
        call = calls.edit(video, image, parameters, None, None)
        return self._transport.call(calls.validation(call, calls.parser_of(EditValidation)))

    def upload(self, file: File) -> Upload:
        """Upload a picture or video for several jobs, which take the upload in place of a file."""
        return self._transport.call(calls.upload(file))

    def train(
        self,
        config: TrainConfig | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
    ) -> JobHandle[TrainJob]:
        """Train a model."""
        call = calls.train(config, idempotency_key, cancel_after)
        return JobHandle(self._transport.call(call), self._transport)

    def validate_train(self, config: TrainConfig | Mapping[str, Any]) -> TrainValidation:
        """Validate what `train` would send."""
        return self._transport.call(calls.validation(calls.train(config, None, None), calls.parser_of(TrainValidation)))

    def job(self, job_id: str) -> JobHandle[Job]:
        """A job by its id."""
        return JobHandle(self._transport.call(calls.get_job(job_id)), self._transport)

    def jobs(
        self,
        *,
        status: JobStatus | str | None = None,
        kind: JobKind | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        page_size: int = 100,
    ) -> Iterator[JobHandle[Job]]:
        """All jobs that match, newest first, fetched page by page."""
        pages = Pages(
            lambda cursor: calls.list_jobs(cursor, status, kind, created_after, created_before, page_size),
            self._transport.connection,
        )
        while not pages.ended:
            page = self._transport.run(pages.next())
            for job in page.jobs:
                yield JobHandle(job, self._transport)

    def redeliver(self, after: datetime, before: datetime | None = None, status: DeliveryStatus | None = None) -> int:
        """Send all webhooks of a period again, with the same IDs; returns how many."""
        return self._transport.call(calls.redeliver(after, before, status))

    def models(self) -> list[Model]:
        """The models that jobs can use."""
        return self._transport.call(calls.list_models())

    def usage(
        self,
        first: date | None = None,
        last: date | None = None,
        *,
        by: Sequence[Literal["day", "tenant", "kind", "model"]] = ("day",),
        tenant: str | None = None,
    ) -> UsageReport:
        """What you have used, by default from the first of the month until today.

        Args:
            first: First day, in UTC.
            last: Last day.
            by: What to group it by.
            tenant: Whose usage, for a key with the scope `operator`; by default that of all tenants.
        """
        return self._transport.call(calls.get_usage(first, last, by, tenant))

    def delete_model(self, model: str) -> None:
        """Delete a model, given as `name@revision`."""
        self._transport.call(calls.delete_model(model))
