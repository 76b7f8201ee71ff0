"""Fills in what a request omits: the default model, and the values on the model's card."""

from typing import TypeVar

from service.api.auth import Caller
from service.api.context import Context
from service.api.fields import part_of
from service.api.submit import find_published
from service.contract.requests import AnimateChoices, AnimateRequest, EditChoices, EditRequest
from service.store.cards import FALLBACK_CARD, Card, default_values

Request = TypeVar("Request", AnimateRequest, EditRequest)


def complete(given: AnimateChoices | EditChoices, kind: type[Request], context: Context, caller: Caller) -> Request:
    """Return the request with its model pinned and omitted values filled in from the model's card.

    Raises:
        ModelUnknown: there is no such model.
    """
    model, card = resolve_model(given.model, context, caller)
    defaults = {
        name: value
        for name, value in default_values(card, context.settings).items()
        if getattr(given, name, value) is None
    }
    return part_of(given, kind).model_copy(update={"model": model, **defaults})


def resolve_model(reference: str, context: Context, caller: Caller) -> tuple[str, Card]:
    """Resolve a model's name, a published one to `name@revision`, and return its card, too.

    Raises:
        ModelUnknown: there is no such model.
    """
    found = find_published(reference, context, caller)
    if found is None:
        return reference, context.cards.find(reference) or FALLBACK_CARD
    return found.reference, {**FALLBACK_CARD, **found.card}
