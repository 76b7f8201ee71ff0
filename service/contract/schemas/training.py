"""What fields of a training mean over HTTP, where the library's own words promise more than the service takes."""

from typing import Any

BASE_MODEL = "`tiny`, the service's own model or a published one: `name@revision`, or `name` for the newest revision."
DATA_SOURCE = "Prefix in the service's storage that contains video files with captions, or WebDataset shards (.tar)."


def describe_for_clients(train: dict[str, Any], data: dict[str, Any]) -> None:
    """Have the properties of a training's schema, and those of its `data`, say so."""
    train["base_model"]["description"] = BASE_MODEL
    data["source"]["description"] = DATA_SOURCE
