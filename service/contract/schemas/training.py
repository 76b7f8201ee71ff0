"""Descriptions of training fields over HTTP, where the service accepts less than the library."""

from typing import Any

BASE_MODEL = "`tiny`, the service's own model or a published one: `name@revision`, or `name` for the newest revision."
DATA_SOURCE = "Prefix in the service's storage that contains video files with captions, or WebDataset shards (.tar)."


def describe_for_clients(train: dict[str, Any], data: dict[str, Any]) -> None:
    """Set the descriptions in the properties of a training's schema, and of its `data`."""
    train["base_model"]["description"] = BASE_MODEL
    data["source"]["description"] = DATA_SOURCE
