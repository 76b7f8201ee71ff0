"""GET /models: what `POST /animate` can be asked for; DELETE /models/<name>@<revision> takes one away."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.api.auth import CallerOf
from service.api.context import ContextOf
from service.api.problems import problem_responses
from service.errors import ModelInUse, ModelUnknown, NotFound
from service.models import PublishedModel
from service.tenants import Scope

router = APIRouter(tags=["models"])


class MotionScaleView(BaseModel):
    """The bucket of intensity 0, and what each intensity adds."""

    at_zero: float
    per_intensity: float


class ModelView(BaseModel):
    """A model, and how it wants to be used; sizes in pixels."""

    model: str = Field(description="What requests call it.", examples=["waves@3f0c9a5b21de"])
    name: str
    revision: str | None = Field(description="Null for the model that the service was started with.")
    default: bool = Field(description="Whether it is taken where a request names none.")
    created_at: datetime | None = None
    job: str | None = Field(None, description="The training that made it.")
    base_model: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    motion_scale: MotionScaleView | None = None


class ModelList(BaseModel):
    """All models, the service's own first, then the published ones, the newest first."""

    models: list[ModelView]


@router.get("/models", summary="List models", responses=problem_responses(401, 503))
def list_models(context: ContextOf, caller: CallerOf) -> ModelList:
    """What can be asked for."""
    own = context.settings.model
    built_in = [ModelView(model=name, name=name, revision=None, default=name == own) for name in sorted({own, "tiny"})]
    published = [view_model(model) for model in context.models.published(caller.tenant)]
    return ModelList(models=sorted(built_in, key=lambda view: not view.default) + published)


@router.get("/models/{model}", summary="Look at a model", responses=problem_responses(401, 404, 503))
def get_model(model: str, context: ContextOf, caller: CallerOf) -> ModelView:
    """A published model, by `name@revision` or, for its newest revision, by its name."""
    return view_model(find(model, context, caller))


@router.delete(
    "/models/{model}", status_code=204, summary="Delete a model", responses=problem_responses(401, 403, 404, 409, 503)
)
def delete_model(model: str, context: ContextOf, caller: CallerOf) -> None:
    """Remove one revision; refused while a job that has not ended uses it."""
    caller.require(Scope.TRAIN)
    found = find(model, context, caller)
    if not context.jobs.delete_model(caller.tenant, found.reference):
        raise ModelInUse(f"jobs that have not ended use {found.reference}")
    context.models.delete(found)


def find(model: str, context: ContextOf, caller: CallerOf) -> PublishedModel:
    try:
        return context.models.find(model, caller.tenant)
    except ModelUnknown as problem:
        raise NotFound(problem.detail) from problem


def view_model(model: PublishedModel) -> ModelView:
    card = {name: value for name, value in model.card.items() if name in ModelView.model_fields and name != "name"}
    return ModelView(
        **card,
        model=model.reference,
        name=model.name,
        revision=model.revision,
        default=False,
        created_at=model.created_at,
        job=model.job,
        base_model=model.base_model,
        bytes=model.bytes,
    )
