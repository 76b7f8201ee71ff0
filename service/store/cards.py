"""Cards of the service's own models, which have the defaults for what a request omits.

The API reads a model's card from its folder. If only the workers have the folder, they publish the card in Redis once
the model is loaded.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import redis

from cinemo_spec.card import BUILT_IN_CARDS, SIDECAR, ModelCard
from cinemo_spec.errors import CheckpointError
from service.contract.settings import Settings
from service.store.keys import card_key
from service.store.scripts import RedisScripts

Card = Mapping[str, Any]
"""The fields of a `ModelCard`."""

FALLBACK_CARD: Card = asdict(ModelCard("unknown"))
"""For models without a card: the values of the published Cinemo model."""
BUILT_IN: Mapping[str, Card] = {name: asdict(card) for name, card in BUILT_IN_CARDS.items()}


class Cards:
    """Every method raises `QueueUnavailable` if Redis doesn't respond."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = RedisScripts(client)

    def publish(self, model: str, card: Card) -> None:
        """Publish the card of a model that the service was started with to all processes."""
        self._redis.call("set", card_key(model), json.dumps(dict(card)))

    def find(self, model: str) -> Card | None:
        """Find the card of the service's own model or a built-in one; None if it has not been published."""
        card = local_card(model)
        published = None if card else self._redis.call("get", card_key(model))
        return card or (json.loads(published) if published else None)


CARD_DEFAULTS = ("num_inference_steps", "guidance_scale")
"""Parameters whose defaults are on the model's card."""


def default_values(card: Card, settings: Settings) -> dict[str, Any]:
    """Return the default steps and guidance: those of the settings, or else the card's."""
    steps = settings.default_num_inference_steps or int(card["num_inference_steps"])
    guidance = settings.default_guidance_scale or float(card["guidance_scale"])
    return {"num_inference_steps": min(steps, settings.max_num_inference_steps), "guidance_scale": guidance}


def local_card(model: str) -> Card | None:
    """Return the card of a built-in model, or of a folder that this process can read; None if there is none."""
    if model in BUILT_IN:
        return BUILT_IN[model]
    folder = Path(model)
    try:
        return asdict(ModelCard.read(folder)) if (folder / SIDECAR).is_file() else None
    except CheckpointError:
        # The workers report the invalid card when they load the model.
        return None
