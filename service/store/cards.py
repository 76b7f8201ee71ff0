"""How the service's own models want to be used: what a request leaves open is filled in by it.

Read where the model's folder is at hand; of a model that only the workers have, they tell by Redis once it is loaded.
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

HABITS: Card = asdict(ModelCard("unknown"))
"""The published model's, which hold where a model has no card."""


class Cards:
    """Every method raises `QueueUnavailable` where Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = RedisScripts(client)

    def tell(self, model: str, card: Card) -> None:
        """Have all processes know the card of a model that the service was started with."""
        self._redis.call("set", card_key(model), json.dumps(dict(card)))

    def known(self, model: str) -> Card | None:
        """The card of a model that the service was started with, or of a built-in one; None where nobody told it."""
        card = card_at_hand(model)
        told = None if card else self._redis.call("get", card_key(model))
        return card or (json.loads(told) if told else None)


OF_CARDS = ("num_inference_steps", "guidance_scale")
"""Parameters whose defaults are a model's own."""


def usual(card: Card, settings: Settings) -> dict[str, Any]:
    """Steps and guidance of a request that asks for none: as the service is set, else the model's own."""
    steps = settings.default_num_inference_steps or int(card["num_inference_steps"])
    guidance = settings.default_guidance_scale or float(card["guidance_scale"])
    return {"num_inference_steps": min(steps, settings.max_num_inference_steps), "guidance_scale": guidance}


def card_at_hand(model: str) -> Card | None:
    """The card of a built-in model or of a folder that this process can read; None where there is none to be read."""
    if model in BUILT_IN_CARDS:
        return asdict(BUILT_IN_CARDS[model])
    folder = Path(model)
    try:
        return asdict(ModelCard.read(folder)) if (folder / SIDECAR).is_file() else None
    except CheckpointError:
        # The workers refuse the model by name.
        return None
