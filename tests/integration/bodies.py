"""JSON bodies, valid and invalid ones, sent to the API unchanged."""

import base64
import json
from typing import Any

import httpx

from tests.conftest import Api
from tests.pictures import small_png

IMAGE = base64.b64encode(small_png()).decode()
"""A picture that is accepted, as `image_base64` takes it."""


def send(api: Api, body: str | bytes, path: str = "/animate", kind: str = "application/json") -> httpx.Response:
    return httpx.post(api.url + path, content=body, headers={"content-type": kind}, timeout=60)


def send_fields(api: Api, **fields: Any) -> httpx.Response:
    """Send a request that is valid except for these fields."""
    return send(api, json.dumps({"prompt": "waves", "image_base64": IMAGE, **fields}))
