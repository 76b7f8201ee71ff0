"""GET /v1/models: the models, in the dialect."""

from typing import Literal

from pydantic import BaseModel

from service.api import models
from service.api.auth import CallerOf
from service.api.context import ContextOf
from service.api.routes import new_hidden_router
from service.api.v1.views import unix
from service.contract.problems import NotFound
from service.contract.schemas import models as schemas

router = new_hidden_router()

OWNER = "cinemo"


class Model(BaseModel):
    """A model; `created` in Unix seconds, 0 if unknown."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = OWNER


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/v1/models")
def list_models(context: ContextOf, caller: CallerOf) -> ModelList:
    """List the models, the default one first."""
    return ModelList(data=[view(model) for model in models.list_models(context, caller).models])


@router.get("/v1/models/{model:path}")
def retrieve_model(model: str, context: ContextOf, caller: CallerOf) -> Model:
    """Return a model."""
    for each in list_models(context, caller).data:
        if each.id == model:
            return each
    raise NotFound("no such model; `GET /v1/models` lists them all")


def view(model: schemas.Model) -> Model:
    return Model(id=model.model, created=unix(model.created_at) if model.created_at else 0)
