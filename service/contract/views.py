"""Converts job records into what clients see, with fresh presigned URLs."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from cinemo_spec.training import TrainConfig
from service.contract.record import Job, JobOutput, ModelOutput, StoredFile, Training, TrainingProgress
from service.contract.schemas import jobs as schemas
from service.contract.settings import Settings
from service.contract.states import JobStatus


class Storage(Protocol):
    """Creates download URLs."""

    def presign(self, key: str, expires_seconds: int) -> str: ...


class Context(Protocol):
    """What a view needs; the API and the webhook sender provide it."""

    @property
    def settings(self) -> Settings: ...

    @property
    def storage(self) -> Storage: ...


def view_job(job: Job, context: Context) -> schemas.Job:
    """Convert a job."""
    url = job_url(job.id, context.settings)
    view: dict[str, Any] = {
        **job.model_dump(include=set(schemas.BaseJob.model_fields)),
        **job.options.model_dump(),
        "request": job.request,
        "progress": job.progress,
        "output": view_output(job.output, context),
        "urls": schemas.Urls(self=url, events=f"{url}/events", cancel=f"{url}/cancel"),
        "eta": estimate_end(job),
    }
    if job.kind == "train":
        training = view_training(job.training, context) if job.training else None
        return schemas.TrainJob(**view, training=training, continues=job.continues)
    return schemas.EditJob(**view) if job.kind == "edit" else schemas.AnimateJob(**view)


def base_url(settings: Settings) -> str:
    """The URL of the API as clients see it, without trailing slash; it may include a path."""
    return settings.public_base_url.rstrip("/")


def job_url(job_id: str, settings: Settings) -> str:
    """The URL at which clients poll a job."""
    return f"{base_url(settings)}/jobs/{job_id}"


def view_file(file: StoredFile, context: Context) -> dict[str, Any]:
    """Convert a stored file: a download URL replaces its key."""
    seconds = context.settings.signed_url_seconds
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    url = context.storage.presign(file.key, seconds)
    return {**file.model_dump(exclude={"key"}), "url": url, "url_expires_at": expires_at}


def view_output(output: JobOutput | ModelOutput | None, context: Context) -> schemas.VideoOutput | ModelOutput | None:
    if not isinstance(output, JobOutput):
        return output
    return schemas.VideoOutput(
        video=schemas.Video(**view_file(output.video, context)),
        poster=schemas.File(**view_file(output.poster, context)),
        spritesheet=schemas.File(**view_file(output.spritesheet, context)) if output.spritesheet else None,
        manifest=schemas.File(**view_file(output.manifest, context)),
        credentials=schemas.File(**view_file(output.credentials, context)) if output.credentials else None,
        digital_source_type=output.digital_source_type,
        signing=output.signing,
        watermark_id=output.watermark_id,
    )


def view_training(training: Training, context: Context) -> schemas.TrainingFiles:
    def file(stored: StoredFile) -> schemas.File:
        return schemas.File(**view_file(stored, context))

    dataset = None
    if training.dataset:
        fields = training.dataset.model_dump(exclude={"histogram"})
        dataset = schemas.Dataset(**fields, histogram=file(training.dataset.histogram))
    return schemas.TrainingFiles(
        dataset=dataset,
        checkpoint_step=training.checkpoint_step,
        samples=[
            schemas.TrainingSample(step=each.step, video=file(each.video), poster=file(each.poster))
            for each in training.samples
        ],
        tensorboard=[file(each) for each in training.tensorboard],
        comparison=training.comparison,
    )


def estimate_end(job: Job) -> datetime | None:
    """Estimate when a job ends; None if nothing is known, and after the end."""
    if job.expected_seconds is not None:
        return datetime.now(UTC) + timedelta(seconds=job.expected_seconds)
    return estimate_by_progress(job)


def estimate_by_progress(job: Job) -> datetime | None:
    """Extrapolate from the steps completed; None before the first one, and after the end."""
    if job.status is not JobStatus.RUNNING or job.started_at is None or job.progress is None or job.progress.step == 0:
        return None
    now = datetime.now(UTC)
    if isinstance(job.progress, TrainingProgress) and isinstance(job.request, TrainConfig):
        clips = (job.progress.steps - job.progress.step) * job.request.batch_size
        return now + timedelta(seconds=clips / max(job.progress.clips_per_second, 1e-9))
    return now + (now - job.started_at) * (1 / job.progress.fraction - 1)
