"""Fills in what a request omits: the default model, and the values on the model's card."""

from service.api.auth import Caller
from service.api.context import Context
from service.api.submit import find_published
from service.store.cards import HABITS, Card


def choose_model(reference: str, context: Context, caller: Caller) -> tuple[str, Card]:
    """The service's own model as it is named, a published one as `name@revision`; and its card.

    Raises:
        ModelUnknown: there is no such model.
    """
    found = find_published(reference, context, caller)
    if found is None:
        return reference, context.cards.known(reference) or HABITS
    return found.reference, {**HABITS, **found.card}
