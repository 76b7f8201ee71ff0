"""POST /train: queue a training job, from a dataset in the storage and a configuration."""

from functools import partial

from fastapi import Response

from cinemo_spec.card import BUILT_IN_CARDS
from cinemo_spec.errors import InvalidParameter
from cinemo_spec.training import TrainConfig
from service.api.auth import Caller, TrainCaller
from service.api.bodies import BODY_PROBLEMS, JSON, IncomingOf, read_json
from service.api.context import Context, ContextOf
from service.api.defaults import resolve_model
from service.api.drafts import Draft, create_or_validate, in_thread
from service.api.fields import invalid_fields, part_of, request_schema, validate
from service.api.openapi import job_responses
from service.api.routes import new_router
from service.api.submit import SubmissionOf, check_webhook_url, job_response
from service.contract.problems import FieldError, InvalidInput, UrlForbidden
from service.contract.record import Job
from service.contract.requests import JobOptions
from service.contract.schemas import jobs as schemas
from service.contract.schemas.examples import TRAIN_REQUEST
from service.contract.schemas.training import describe_for_clients
from service.contract.schemas.validations import TrainValidation
from service.contract.states import JobStatus
from service.store.cards import Card

router = new_router("train")

DATASETS = "datasets/"


class TrainFields(TrainConfig, JobOptions):
    """What a client may send."""


SCHEMA = request_schema(TrainConfig, JobOptions)
describe_for_clients(SCHEMA["properties"], SCHEMA["properties"]["data"]["properties"])
CONTENT = {JSON: {"schema": SCHEMA, "example": TRAIN_REQUEST}}


@router.post(
    "/train",
    status_code=202,
    response_model=schemas.TrainJob,
    summary="Train a model",
    responses=job_responses(TrainValidation, *BODY_PROBLEMS, UrlForbidden),
    openapi_extra={"requestBody": {"required": True, "content": CONTENT}},
)
async def train(
    incoming: IncomingOf, context: ContextOf, caller: TrainCaller, submission: SubmissionOf, response: Response
) -> Response:
    """Validate a configuration, enqueue the job and return it immediately.

    `data.source` is a prefix in the service's own storage, `datasets/<tenant>/waves` or
    `s3://bucket/datasets/<tenant>/waves`; without API keys, `datasets/waves` is enough. The resulting model is in
    `output.model`; pass that name to `POST /animate`.
    """
    body = await read_json(incoming)
    given = validate(TrainFields, body.fields, typed=True)
    prepare = in_thread(partial(prepare_draft, given, context, caller), context, caller)
    submission = submission.with_body(b"train", body=body)
    job = await create_or_validate(submission, context, caller, response, prepare)
    return await job_response(job, submission, context, response)


def prepare_draft(given: TrainFields, context: Context, caller: Caller, earlier: Job | None = None) -> Draft:
    """Check the options, dataset and base model; the job resumes an earlier one with the same computation."""
    config, options = part_of(given, TrainConfig), check_webhook_url(part_of(given, JobOptions), context)
    if config.name in BUILT_IN_CARDS:
        raise invalid_fields(FieldError("#/name", f"{config.name} is the name of a built-in model; choose another"))
    workers, limit = config.data.workers, context.settings.max_data_workers
    if workers > limit:
        raise invalid_fields(FieldError("#/data/workers", f"must be at most {limit}, got {workers}"))
    base_model, card = resolve_model(config.base_model, context, caller, "base_model")
    if config.method == "distill":
        check_teacher(config, card)
    accepted = config.model_copy(
        update={
            "base_model": base_model,
            "data": config.data.model_copy(update={"source": dataset_prefix(config, context, caller)}),
        }
    )
    resumed = job_to_resume(earlier) if earlier and same_run(earlier, accepted) else None
    return Draft("train", accepted, options, record={"continues": resumed})


def check_teacher(config: TrainConfig, card: Card) -> None:
    """Raise `InvalidInput` if the base model's card says that there is nothing to distil."""
    try:
        config.check_teacher(int(card["num_inference_steps"]), float(card["guidance_scale"]))
    except InvalidParameter as error:
        raise invalid_fields(FieldError("#/base_model", str(error))) from error


def same_run(earlier: Job, config: TrainConfig) -> bool:
    """Whether this configuration can resume from the states of an earlier job; it may have more steps."""
    if not isinstance(earlier.request, TrainConfig) or config.data.source != earlier.request.data.source:
        return False
    done = earlier.training.checkpoint_step if earlier.training else None
    return not config.changes_from(earlier.request.numbers()) and config.steps >= (done or 0)


def job_to_resume(earlier: Job) -> str | None:
    """Return the job that has the last state of an unsuccessful training; None if there is none."""
    if not earlier.ended or earlier.status is JobStatus.SUCCEEDED or earlier.removal_begun:
        return None
    saved = earlier.training is not None and earlier.training.checkpoint_step is not None
    return earlier.id if saved else earlier.continues


def dataset_prefix(config: TrainConfig, context: Context, caller: Caller) -> str:
    """Return the dataset's prefix in the storage; raises `InvalidInput` if it is empty or another tenant's."""
    source, storage_url = config.data.source, context.settings.storage_url.rstrip("/") + "/"
    prefix = source.removeprefix(storage_url) if storage_url.startswith("s3://") else source
    prefix = prefix.strip("/") + "/"
    # Without authentication there is only one tenant.
    allowed = DATASETS if context.settings.auth == "off" else f"{DATASETS}{caller.tenant}/"
    if not prefix.startswith(allowed) or ".." in prefix.split("/") or not prefix.isprintable():
        raise invalid_source(f"must be a prefix below {allowed} in the service's storage, got {source!r}")
    if not context.storage.list(prefix, most=1):
        raise invalid_source(f"there are no files below {prefix}")
    return prefix


def invalid_source(detail: str) -> InvalidInput:
    return InvalidInput(f"data.source: {detail}", [FieldError("#/data/source", detail)])
