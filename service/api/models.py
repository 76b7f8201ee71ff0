"""GET /models: models that jobs can use; DELETE /models/<name>@<revision> deletes one."""

from typing import Annotated, Any

from fastapi import Path

from cinemo_spec.card import BUILT_IN_CARDS
from service.api.auth import Caller, CallerOf, ModelOwner
from service.api.context import Context, ContextOf
from service.api.openapi import problems
from service.api.routes import new_router
from service.contract.problems import ModelInUse, ModelIsBase, ModelUnknown, NotFound, ScopeMissing, StorageUnavailable
from service.contract.schemas.examples import MODEL
from service.contract.schemas.models import Model, ModelList
from service.storage.models import REVISION, PublishedModel, stored_item
from service.store.cards import Card, default_values

router = new_router("models")

ModelName = Annotated[
    str, Path(description="`name@revision`, or only the name for the newest revision.", examples=[MODEL["model"]])
]
ModelRevision = Annotated[
    str,
    Path(
        description="`name@revision`, which always refers to the same model.",
        pattern=REVISION,
        examples=[MODEL["model"]],
    ),
]


@router.get("/models", summary="List models", responses=problems(StorageUnavailable))
def list_models(context: ContextOf, caller: CallerOf) -> ModelList:
    """Models that jobs can use."""
    own = context.settings.model
    built_in = [
        Model(**own_card(name, context), model=name, name=name, revision=None, default=name == own)
        for name in sorted({own, *BUILT_IN_CARDS})
    ]
    published = [view_model(model) for model in context.models.published(caller.tenant)]
    return ModelList(models=sorted(built_in, key=lambda view: not view.default) + published)


@router.get("/models/{model}", summary="Get a model", responses=problems(NotFound, StorageUnavailable))
def get_model(model: ModelName, context: ContextOf, caller: CallerOf) -> Model:
    """Return a published model by `name@revision`, or its newest revision by name."""
    return view_model(find(model, context, caller))


@router.delete(
    "/models/{model}",
    status_code=204,
    summary="Delete a model",
    responses=problems(ScopeMissing, NotFound, ModelInUse, ModelIsBase, StorageUnavailable),
)
def delete_model(model: ModelRevision, context: ContextOf, caller: ModelOwner) -> None:
    """Delete one revision. Rejected while an unfinished job uses it or a training job is publishing it, and for the
    base of adapters, which are deleted first.

    If the deletion was incomplete or the response was lost, retry: whatever is left is deleted.
    """
    if not context.jobs.models.is_deleted(caller.tenant, model):
        find(model, context, caller)
    require_no_adapters(model, context, caller)
    # List the files first: once the name is free, a new model can be published under it.
    stored = context.models.keys(model, caller.tenant)
    if not context.jobs.models.delete(caller.tenant, model):
        raise ModelInUse(f"unfinished jobs use {model} or are publishing it")
    try:
        # Again: no training on it runs any more, but one may just have ended.
        require_no_adapters(model, context, caller)
    except ModelIsBase:
        context.jobs.models.restore(caller.tenant, model)
        raise
    context.models.delete(stored)
    context.jobs.stored.release(caller.tenant, stored_item(model))


def require_no_adapters(model: str, context: Context, caller: Caller) -> None:
    """Raise `ModelIsBase` if the tenant has adapters over the model."""
    published = context.models.published(caller.tenant)
    adapters = [each.reference for each in published if each.base and each.base.model == model]
    if adapters:
        raise ModelIsBase(f"{model} is the base of {', '.join(adapters)}")


def find(model: str, context: Context, caller: Caller) -> PublishedModel:
    try:
        return context.models.find(model, caller.tenant)
    except ModelUnknown as problem:
        raise NotFound(problem.detail) from problem


def view_model(model: PublishedModel) -> Model:
    return Model(
        **card_fields(model.card),
        model=model.reference,
        name=model.name,
        revision=model.revision,
        default=False,
        created_at=model.created_at,
        job=model.job,
        base_model=model.base_model,
        bytes=model.bytes,
        comparison=model.comparison,
    )


def own_card(name: str, context: Context) -> dict[str, Any]:
    """Return the card of a model that the service was started with; empty if no worker has reported it."""
    card = context.cards.find(name)
    return card_fields({**card, **default_values(card, context.settings)} if card else {})


def card_fields(card: Card) -> dict[str, Any]:
    """Return the part of a card that clients see, and whether it is an adapter's."""
    fields = {name: value for name, value in card.items() if name in Model.model_fields and name != "name"}
    return {**fields, "kind": "adapter" if card.get("base") else "model"}
