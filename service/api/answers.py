"""Serializes responses directly: FastAPI would first validate them again."""

from collections.abc import Mapping

from fastapi import Response
from pydantic import BaseModel


def json_response(view: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Respond with a model of `service/contract/schemas`."""
    return Response(view.model_dump_json(by_alias=True), status, headers, "application/json")
