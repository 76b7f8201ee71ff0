"""POST /train: a dataset in the storage and a configuration become a queued training job."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Response

from cinemo_core.training.config import TrainConfig
from service.api.auth import Caller, TrainCaller
from service.api.context import Context, ContextOf
from service.api.documents import accepted
from service.api.submit import Terms, TermsOf, fingerprint, once, pin_model, submit
from service.errors import FieldError, InvalidInput
from service.jobs.keys import DEFAULT_TENANT
from service.jobs.model import Job, new_job_id
from service.jobs.views import view_job
from service.schemas import jobs as schemas
from service.schemas.examples import TRAIN_REQUEST

router = APIRouter(tags=["train"])

RESERVED_NAMES = ("tiny",)
DATASETS = "datasets/"


@router.post(
    "/train",
    status_code=202,
    response_model=schemas.TrainJob,
    summary="Train a model",
    responses=accepted(),
)
def train(
    config: Annotated[TrainConfig, Body(examples=[TRAIN_REQUEST])],
    response: Response,
    context: ContextOf,
    caller: TrainCaller,
    terms: TermsOf,
) -> schemas.Job:
    """Check a configuration, queue the job and answer with it at once.

    `data.source` is a prefix of the service's own storage, `datasets/waves` or `s3://bucket/datasets/waves`; that of
    a tenant begins with `datasets/<tenant>/`. The
    model that comes of it is in `output.model`, and `POST /animate` takes it by that name.
    """
    sent = fingerprint(b"train", config.model_dump_json().encode())
    job = once(terms, sent, context, caller, response, lambda: accept(config, context, caller, terms))
    return view_job(job, context)


def accept(config: TrainConfig, context: Context, caller: Caller, terms: Terms) -> Job:
    """Find data and base model, then queue the job."""
    if config.name in RESERVED_NAMES:
        detail = f"{config.name} is a built-in model; choose another name"
        raise InvalidInput(f"name: {detail}", [FieldError("#/name", detail)])
    accepted = config.model_copy(
        update={
            "base_model": pin_model(config.base_model, context, caller, "base_model"),
            "data": config.data.model_copy(update={"source": dataset_prefix(config, context, caller)}),
        }
    )
    job = Job(id=new_job_id(), kind="train", tenant=caller.tenant, created_at=datetime.now(UTC), request=accepted)
    return submit(job, context, terms)


def dataset_prefix(config: TrainConfig, context: Context, caller: Caller) -> str:
    """The dataset's prefix in the storage; raises `InvalidInput` where nothing lies there, or somebody else's."""
    source, own = config.data.source, context.settings.storage_url.rstrip("/") + "/"
    prefix = source.removeprefix(own) if own.startswith("s3://") else source
    prefix = prefix.strip("/") + "/"
    allowed = DATASETS if caller.tenant == DEFAULT_TENANT else f"{DATASETS}{caller.tenant}/"
    if not prefix.startswith(allowed) or ".." in prefix.split("/"):
        raise unusable(f"datasets are below {allowed} in this service's storage, and {source} is not")
    if not context.storage.list(prefix):
        raise unusable(f"nothing is stored below {prefix}")
    return prefix


def unusable(detail: str) -> InvalidInput:
    return InvalidInput(f"data.source: {detail}", [FieldError("#/data/source", detail)])
