"""Fills in what a request omits: the default model, and the values on the model's card."""

from typing import TypeVar

from cinemo_spec.card import BUILT_IN_CARDS
from cinemo_spec.parameters import AdapterChoice
from service.api.auth import Caller
from service.api.context import Context
from service.api.fields import invalid_fields, part_of, pointer_to
from service.api.submit import find_published
from service.contract.problems import FieldError
from service.contract.requests import AnimateChoices, AnimateRequest, EditChoices, EditRequest
from service.store.cards import FALLBACK_CARD, Card, default_values

Request = TypeVar("Request", AnimateRequest, EditRequest)


def complete(given: AnimateChoices | EditChoices, kind: type[Request], context: Context, caller: Caller) -> Request:
    """Return the request with its models pinned and omitted values filled in from the model's card.

    Raises:
        ModelUnknown: there is no such model.
        InvalidInput: an adapter has another base than the model.
    """
    model, card = resolve_model(given.model, context, caller)
    defaults = {
        name: value
        for name, value in default_values(card, context.settings).items()
        if getattr(given, name, value) is None
    }
    adapters = resolve_adapters(given.adapters, base_of(card) or model, context, caller)
    return part_of(given, kind, model=model, adapters=adapters, **defaults)


async def complete_soon(
    given: AnimateChoices | EditChoices, kind: type[Request], context: Context, caller: Caller
) -> Request:
    """Do the same on the event loop: in a thread, unless all models are built in, whose cards are in memory."""
    if {given.model, *(each.model for each in given.adapters)} <= BUILT_IN_CARDS.keys():
        return complete(given, kind, context, caller)
    return await context.pools.calling.run(caller.tenant, complete, given, kind, context, caller)


def resolve_model(reference: str, context: Context, caller: Caller, field_name: str = "model") -> tuple[str, Card]:
    """Resolve a model's name, a published one to `name@revision`, and return its card, too.

    Raises:
        ModelUnknown: there is no such model.
    """
    found = find_published(reference, context, caller, field_name)
    if found is None:
        return reference, context.cards.find(reference) or FALLBACK_CARD
    if found.base:
        find_published(found.base.model, context, caller, field_name)
    return found.reference, {**FALLBACK_CARD, **found.card}


def resolve_adapters(
    chosen: tuple[AdapterChoice, ...], base: str, context: Context, caller: Caller
) -> tuple[AdapterChoice, ...]:
    """Return the adapters with their names pinned.

    Raises:
        ModelUnknown: there is no such adapter.
        InvalidInput: it is a full model, or has another base.
    """
    pinned, errors = [], []
    for index, each in enumerate(chosen):
        reference, card = resolve_model(each.model, context, caller, f"adapters/{index}/model")
        own = base_of(card)
        pointer = pointer_to("adapters", index, "model")
        if own is None:
            errors.append(FieldError(pointer, f"{reference} is a full model, not an adapter"))
        elif own != base:
            errors.append(FieldError(pointer, f"{reference} was trained on {own}, and can't be used with {base}"))
        pinned.append(each.model_copy(update={"model": reference}))
    if errors:
        raise invalid_fields(*errors)
    return tuple(pinned)


def base_of(card: Card) -> str | None:
    """Return the base of an adapter's card; None for a full model."""
    base = card.get("base")
    return base and str(base["model"])
