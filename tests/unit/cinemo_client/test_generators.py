"""What the client's generators make of their input."""

import runpy
from collections.abc import Callable
from typing import Any

import pytest

from deploy.lock import ROOT

SCRIPTS = ROOT / "clients" / "python" / "scripts"
MODELS = runpy.run_path(str(SCRIPTS / "generate_models.py"))
SYNCHRONOUS: Callable[[str], str] = runpy.run_path(str(SCRIPTS / "unasync.py"))["synchronous"]


def models_of(**schemas: dict[str, Any]) -> dict[str, Any]:
    """The names in a module generated from a document with these components."""
    names: dict[str, Any] = {"__name__": "generated"}
    exec(MODELS["models"]({"components": {"schemas": schemas}}), names)
    return names


def of(required: tuple[str, ...] = (), **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


def test_a_model_is_defined_after_those_that_it_refers_to() -> None:
    inner = {"$ref": "#/components/schemas/Inner"}
    made = models_of(Outer=of(("inner",), inner=inner), Inner=of(("number",), number={"type": "integer"}))
    assert made["Outer"].model_validate({"inner": {"number": 1}}).inner.number == 1


def test_an_optional_field_has_its_default_or_none() -> None:
    made = models_of(Part=of(size={"type": "integer", "default": 8}, name={"type": "string"}))
    part = made["Part"]()
    assert (part.size, part.name) == (8, None)


def test_a_default_that_differs_from_that_of_its_model_is_kept() -> None:
    inner = of(size={"type": "integer", "default": 8}, name={"type": "string", "default": "a"})
    field = {"$ref": "#/components/schemas/Inner", "default": {"size": 9, "name": "a"}}
    made = models_of(Inner=inner, Outer=of(inner=field))
    assert made["Outer"]().inner == made["Inner"](size=9, name="a")


def test_limits_are_left_to_the_service() -> None:
    made = models_of(Part=of(("size",), size={"type": "integer", "maximum": 8}))
    assert made["Part"](size=9).size == 9


@pytest.mark.parametrize("schema", [{"type": "tuple"}, {"allOf": []}, {}])
def test_a_schema_of_an_unknown_kind_is_rejected(schema: dict[str, Any]) -> None:
    with pytest.raises(MODELS["UnsupportedSchema"]):
        models_of(Part=of(field=schema))


def test_the_sync_client_has_neither_async_nor_await() -> None:
    source = 'async def get(client: AsyncClient) -> str:\n    """Await it."""\n    return await client.aread()\n'
    assert SYNCHRONOUS(source) == 'def get(client: Client) -> str:\n    """Await it."""\n    return client.read()\n'
