"""The client for programs that block. Generated from `aio.py` by `make generate`: do not edit."""

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
from cinemo_client.handles import FileName, file_of, succeeded
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
from cinemo_client.streams import Listening, Saving, Stream

T = TypeVar("T")
J = TypeVar("J", bound=Job)


class Transport:
    """Does what the steps of the protocol ask for, over connections of its own or those of another's `http`."""

    def __init__(self, connection: Connection, http: httpx.Client | None = None) -> None:
        self.connection = connection
        self.http = http or httpx.Client()

    def call(self, call: Call[T]) -> T:
        return self.run(exchange(call, self.connection))

    def run(self, steps: Steps[T]) -> T:
        """Carry out the steps; returns what they come to."""
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
        """What a stream brings, over as many connections as it takes."""
        while not stream.done:
            try:
                response = self.http.send(stream.request(), stream=True)
                try:
                    if not response.is_success:
                        response.read()
                        raise error_of(response)
                    for piece in response.iter_bytes():
                        for brought in stream.feed(piece):
                            yield brought
                finally:
                    response.close()
                if steps := stream.closed():
                    self.run(steps)
            except httpx.TransportError as error:
                time.sleep(stream.failed(unreachable(error)))
            except CinemoError as error:
                time.sleep(stream.failed(error))


class JobHandle(Generic[J]):
    """A job of the service; `job` is where it stood when it was last asked for."""

    def __init__(self, job: J, transport: Transport) -> None:
        self.job = job
        self._transport = transport

    @property
    def id(self) -> str:
        return self.job.id

    def refresh(self) -> J:
        """Fetch the job's current state."""
        return self._keep(self._transport.call(calls.get_job(self.id)))

    def wait(self, timeout: float | None = None) -> J:
        """Return once the job has succeeded.

        Raises:
            JobNotSucceeded: it has failed, was canceled, or expired.
            WaitTimedOut: it has not ended within `timeout` seconds, and goes on.
        """
        steps = until_ended(lambda wait: calls.get_job(self.id, wait), self._transport.connection, timeout)
        self._keep(self._transport.run(steps))
        succeeded(self.job)
        return self.job

    def events(self, after: str | None = None) -> Iterator[Event]:
        """What happens to the job, from its beginning or after the event of an id, until it has ended.

        A broken connection is made again, and goes on where it broke.
        """
        return self._transport.stream(Listening(self.id, after, self._transport.connection))

    def cancel(self) -> J:
        """Ask the job to stop; one that has ended stays as it is."""
        return self._keep(self._transport.call(calls.cancel_job(self.id)))

    def rerun(self, *, idempotency_key: str | None = None, **overrides: Any) -> "JobHandle[J]":
        """The same job again, but for what is given."""
        job = self._transport.call(calls.rerun_job(self.id, overrides, idempotency_key))
        return JobHandle(cast(J, job), self._transport)

    def validate_rerun(self, **overrides: Any) -> Validation:
        """Check what `rerun` would send: the request with its defaults, and when it would run. Nothing is stored."""
        call = calls.rerun_job(self.id, overrides, None)
        return self._transport.call(calls.validation(call, calls.read_validation))

    def remove(self) -> None:
        """Have the job's files removed, now or as soon as it has stopped; its record stays for its time."""
        self._transport.call(calls.remove_job(self.id))

    def preview(self) -> bytes | None:
        """The latest preview of a running job sent with `preview=True`, an animated WebP; None if there is none now."""
        try:
            return self._transport.call(calls.get_preview(self.id))
        except NotFound:
            return None

    def deliveries(self) -> list[Delivery]:
        """The job's webhooks, with each attempt to send them."""
        return self._transport.call(calls.list_deliveries(self.id))

    def redeliver(self, status: DeliveryStatus | None = None) -> int:
        """Have the job's webhooks sent again, under the same ids; returns how many."""
        return self._transport.call(calls.redeliver_job(self.id, status))

    def download(self, path: str | Path, file: FileName = "video") -> Path:
        """Wait for the job, then write its video, poster, manifest or credentials, once its checksum is right.

        Raises:
            JobNotSucceeded: there is nothing to download, and never will be.
            NotFound: the video contains its credentials, or isn't signed.
            DownloadCorrupt: the file is not what the job describes.
        """
        saving = Saving(file_of(self.wait(), file), Path(path), self._transport.connection)
        for _ in self._transport.stream(saving):
            pass
        return Path(path)

    def _keep(self, job: Job) -> J:
        self.job = cast(J, job)
        return self.job


class Client:
    """The service at a URL. Close it, or use it as a context manager.

    Args:
        url: Where the service is.
        api_key: A key of `cinemo keys create`; none where the service runs without keys.
        timeout: Seconds that the service may take to answer.
        retries: How often a call is repeated where the service cannot be reached or asks to come back later.
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
        """Have a photo animated: a path, bytes, a URL that the service fetches, or an upload.

        Args:
            image: The photo.
            prompt: What happens in the video, or in each of its clips.
            idempotency_key: Names the request, so that it makes one job even if this program dies and sends it again.
            cancel_after: A deadline from now on, as `90s`, `5m` or `1h`.
            parameters: Other fields of `POST /animate`.
        """
        call = calls.animate(image, prompt, parameters, idempotency_key, cancel_after)
        return JobHandle(self._transport.call(call), self._transport)

    def validate_animate(
        self, image: Picture, prompt: str | Sequence[str], **parameters: Unpack[AnimateParameters]
    ) -> AnimateValidation:
        """Check what `animate` would send: the request with its defaults, and when it would run. Nothing is stored."""
        call = calls.animate(image, prompt, parameters, None, None)
        return self._transport.call(calls.validation(call, calls.reader(AnimateValidation)))

    def edit(
        self,
        video: File | Upload,
        image: Picture,
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
        **parameters: Unpack[EditParameters],
    ) -> JobHandle[EditJob]:
        """Give a video's motion to another first frame; the other arguments are as those of `animate`.

        Args:
            video: A path, bytes, or an upload.
            image: The video's own first frame, edited, or any photo, as `animate` takes it.
            idempotency_key: Names the request.
            cancel_after: A deadline from now on.
            parameters: Other fields of `POST /edit`.
        """
        call = calls.edit(video, image, parameters, idempotency_key, cancel_after)
        return JobHandle(self._transport.call(call), self._transport)

    def validate_edit(
        self, video: File | Upload, image: Picture, **parameters: Unpack[EditParameters]
    ) -> EditValidation:
        """Check what `edit` would send."""
        call = calls.edit(video, image, parameters, None, None)
        return self._transport.call(calls.validation(call, calls.reader(EditValidation)))

    def upload(self, file: File) -> Upload:
        """Store a picture or a video that several jobs are to use; it is given to them in place of a file."""
        return self._transport.call(calls.upload(file))

    def train(
        self,
        config: TrainConfig | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
    ) -> JobHandle[TrainJob]:
        """Have a model trained."""
        call = calls.train(config, idempotency_key, cancel_after)
        return JobHandle(self._transport.call(call), self._transport)

    def validate_train(self, config: TrainConfig | Mapping[str, Any]) -> TrainValidation:
        """Check what `train` would send."""
        return self._transport.call(calls.validation(calls.train(config, None, None), calls.reader(TrainValidation)))

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
        """All jobs that fit, the newest first, fetched page by page."""
        pages = Pages(
            lambda cursor: calls.list_jobs(cursor, status, kind, created_after, created_before, page_size),
            self._transport.connection,
        )
        while not pages.ended:
            page = self._transport.run(pages.next())
            for job in page.jobs:
                yield JobHandle(job, self._transport)

    def redeliver(self, after: datetime, before: datetime | None = None, status: DeliveryStatus | None = None) -> int:
        """Have all webhooks that were written in a time sent again, under the same ids; returns how many."""
        return self._transport.call(calls.redeliver(after, before, status))

    def models(self) -> list[Model]:
        """Models that jobs can use."""
        return self._transport.call(calls.list_models())

    def usage(
        self,
        first: date | None = None,
        last: date | None = None,
        *,
        by: Sequence[Literal["day", "tenant", "kind", "model"]] = ("day",),
        tenant: str | None = None,
    ) -> UsageReport:
        """What you have used, from the first of the month until today unless told otherwise.

        Args:
            first: First day, in UTC.
            last: Last day.
            by: What to group it by.
            tenant: Whose usage, for a key with the scope `operator`; of all by default.
        """
        return self._transport.call(calls.get_usage(first, last, by, tenant))

    def delete_model(self, model: str) -> None:
        """Delete a model, given as `name@revision`."""
        self._transport.call(calls.delete_model(model))
