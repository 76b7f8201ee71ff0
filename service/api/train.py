"""POST /train: a dataset in the storage and a configuration become a queued training job."""

from fastapi import APIRouter, Response

from cinemo_spec.training import TrainConfig
from service.api.auth import Caller, TrainCaller
from service.api.bodies import BODY_PROBLEMS, JSON, IncomingOf, read_json
from service.api.context import Context, ContextOf
from service.api.fields import part_of, request_schema, validate, wrong
from service.api.openapi import accepted as may_answer
from service.api.submit import SubmitOptions, SubmitOptionsOf, answer, check_options, pin_model, submit, take_in
from service.contract.problems import FieldError, InvalidInput, UrlForbidden
from service.contract.record import Job, job_made_at
from service.contract.requests import JobOptions
from service.contract.schemas import jobs as schemas
from service.contract.schemas.examples import TRAIN_REQUEST
from service.contract.schemas.training import describe_for_clients
from service.contract.states import JobStatus

router = APIRouter(tags=["train"])

RESERVED_NAMES = ("tiny",)
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
    responses=may_answer(*BODY_PROBLEMS, UrlForbidden),
    openapi_extra={"requestBody": {"required": True, "content": CONTENT}},
)
async def train(
    incoming: IncomingOf, context: ContextOf, caller: TrainCaller, submitted: SubmitOptionsOf, response: Response
) -> Response | schemas.Job:
    """Validate a configuration, enqueue the job and return it immediately.

    `data.source` is a prefix in the service's own storage, `datasets/<tenant>/waves` or
    `s3://bucket/datasets/<tenant>/waves`; without API keys, `datasets/waves` is enough. The resulting model is in
    `output.model`; pass that name to `POST /animate`.
    """
    body = await read_json(incoming)
    given = validate(TrainFields, body.fields, typed=True)
    config, options = part_of(given, TrainConfig), check_options(part_of(given, JobOptions), context)
    submitted = submitted.claiming(b"train", body=body)

    async def make() -> Job:
        return await context.pools.storing.run(caller.tenant, accept, config, options, context, caller, submitted)

    job = await take_in(submitted, context, caller, response, make)
    return await answer(job, submitted, context, response)


def accept(
    config: TrainConfig,
    options: JobOptions,
    context: Context,
    caller: Caller,
    submitted: SubmitOptions,
    earlier: Job | None = None,
) -> Job:
    """Find data and base model, then queue the job; it goes on from an earlier one whose numbers are the same."""
    if config.name in RESERVED_NAMES:
        raise wrong(FieldError("#/name", f"{config.name} is a built-in model; choose another name"))
    workers, most = config.data.workers, context.settings.max_data_workers
    if workers > most:
        raise wrong(FieldError("#/data/workers", f"must be at most {most}, got {workers}"))
    accepted = config.model_copy(
        update={
            "base_model": pin_model(config.base_model, context, caller, "base_model"),
            "data": config.data.model_copy(update={"source": dataset_prefix(config, context, caller)}),
        }
    )
    job_id = context.jobs.announce(caller.tenant)
    job = Job(
        id=job_id,
        kind="train",
        tenant=caller.tenant,
        created_at=job_made_at(job_id),
        request=accepted,
        options=options,
        continues=owner_of_states(earlier) if earlier and same_run(earlier, accepted) else None,
    )
    return submit(job, context, submitted)


def same_run(earlier: Job, config: TrainConfig) -> bool:
    """Whether the states of an earlier training are those of a run by this configuration, which may take more steps."""
    if not isinstance(earlier.request, TrainConfig) or config.data.source != earlier.request.data.source:
        return False
    done = earlier.training.checkpoint_step if earlier.training else None
    return not config.changes_from(earlier.request.numbers()) and config.steps >= (done or 0)


def owner_of_states(earlier: Job) -> str | None:
    """The job whose states are the last of a training that did not come to its end; None where there are none."""
    if not earlier.ended or earlier.status is JobStatus.SUCCEEDED or earlier.removal_begun:
        return None
    saved = earlier.training is not None and earlier.training.checkpoint_step is not None
    return earlier.id if saved else earlier.continues


def dataset_prefix(config: TrainConfig, context: Context, caller: Caller) -> str:
    """The dataset's prefix in the storage; raises `InvalidInput` where nothing lies there, or somebody else's."""
    source, own = config.data.source, context.settings.storage_url.rstrip("/") + "/"
    prefix = source.removeprefix(own) if own.startswith("s3://") else source
    prefix = prefix.strip("/") + "/"
    # Where anybody is let in, all are one tenant.
    allowed = DATASETS if context.settings.auth == "off" else f"{DATASETS}{caller.tenant}/"
    if not prefix.startswith(allowed) or ".." in prefix.split("/") or not prefix.isprintable():
        raise unusable(f"datasets are below {allowed} in this service's storage, and {source!r} is not")
    if not context.storage.list(prefix):
        raise unusable(f"nothing is stored below {prefix}")
    return prefix


def unusable(detail: str) -> InvalidInput:
    return InvalidInput(f"data.source: {detail}", [FieldError("#/data/source", detail)])
