"""Every consumer of parameters matches their declaration in `cinemo_spec.parameters`."""

import inspect
from itertools import takewhile
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from cinemo_client.parameters import AnimateParameters as ClientsAnimateParameters
from cinemo_client.parameters import EditParameters as ClientsEditParameters
from cinemo_core import CinemoPipeline, DCTInit, InvalidParameter
from cinemo_core.__main__ import app
from cinemo_core.arguments import CALLED, OUTSIDE_CALLS, arguments_of
from cinemo_core.options import SHORT
from cinemo_core.samplers import SAMPLERS
from cinemo_core.training.sources import photo_path
from cinemo_spec.parameters import (
    DECODING,
    AnimateParameters,
    DecodingParameters,
    EditParameters,
    Parameters,
    SamplerName,
)
from cinemo_spec.ranges import ranges_of, schema_of, texts_of
from service.api.assets import read_assets
from service.api.playground import playground
from service.contract.settings import Settings
from service.openapi import document
from tests.integration.tags import Tags

ALL: tuple[tuple[str, type[AnimateParameters | EditParameters]], ...] = (
    ("animate", AnimateParameters),
    ("edit", EditParameters),
)
DOCUMENT = document()
SETTINGS = Settings(storage_url="s3://videos", auth="keys")
OF_THE_CARD = {"num_inference_steps", "guidance_scale"}
MAX_STEPS = Settings.model_fields["max_num_inference_steps"].default
SOURCE = np.zeros((8, 32, 32, 3), np.uint8)
DCT_INIT = {"noise_cutoff": "cutoff", "noise_level": "noise_level"}
"""Parameters that the calls take in one, `noise_refinement`, as it calls them."""


def in_document(operation: str) -> dict[str, Any]:
    """The fields of a body in JSON."""
    body = DOCUMENT["paths"][f"/{operation}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    fields: dict[str, Any] = body["properties"]
    return fields


def call(pipe: CinemoPipeline, operation: str, **arguments: Any) -> None:
    with Image.new("RGB", (32, 32)) as photo:
        if operation == "animate":
            pipe.film(photo, "waves", **arguments)
        else:
            pipe.edit_film(SOURCE, photo, **arguments)


def is_of_calls(case: Any) -> bool:
    """Whether a parameter concerns more than files, of which the pipeline knows nothing."""
    operation, name, _ = case.values
    return name not in OUTSIDE_CALLS[dict(ALL)[operation]]


EACH = [
    pytest.param(operation, declared, name, id=f"{operation}-{name}")
    for operation, declared in ALL
    for name in declared.model_fields
]


@pytest.mark.parametrize(("operation", "declared", "name"), EACH)
def test_the_apis_document_contains_each_declaration(operation: str, declared: type[Parameters], name: str) -> None:
    reported, wanted = in_document(operation)[name], schema_of(declared)[name]
    flat = {**reported, **reported["anyOf"][0]} if "anyOf" in reported else reported
    assert reported["description"].startswith(wanted["description"])
    kept = {"type", "enum", "minimum", "maximum", "multipleOf"}
    limit = {"maximum": MAX_STEPS} if name == "num_inference_steps" else {}
    assert {key: flat.get(key) for key in kept} == {key: wanted.get(key) for key in kept} | limit
    # What a card has, and the seed, is nothing that the document could tell.
    default = schema_of(declared)[name]["default"]
    assert name in OF_THE_CARD | {"seed"} or reported.get("default") == default


@pytest.mark.parametrize(("operation", "declared"), ALL)
def test_the_document_contains_no_other_range_or_word(operation: str, declared: type[Parameters]) -> None:
    own = {"webhook_events", "webhook_url", "metadata", "priority", "reuse", "preview", "model", "format", "prompt"}
    sources = {"image_base64", "image_url", "upload_id", "video_upload_id"}
    assert set(in_document(operation)) - own - sources == set(declared.model_fields)


@pytest.mark.parametrize(("operation", "declared"), ALL)
def test_the_client_accepts_each_parameter_by_name(operation: str, declared: type[Parameters]) -> None:
    taken = {"animate": ClientsAnimateParameters, "edit": ClientsEditParameters}[operation]
    assert set(declared.model_fields) <= set(taken.__annotations__)


@pytest.mark.parametrize(("operation", "declared", "name"), EACH)
def test_the_command_line_has_an_option_for_each_parameter(
    operation: str, declared: type[Parameters], name: str
) -> None:
    (option,) = [each for each in get_command(app).commands[operation].params if each.name == name]  # type: ignore[attr-defined]
    assert {f"--{name.replace('_', '-')}", SHORT.get(name, option.opts[0])} <= set(option.opts)
    assert option.default == declared.model_fields[name].default
    assert option.help == texts_of(declared)[name].replace("`", "")


@pytest.mark.parametrize(("operation", "declared"), ALL)
def test_the_pipelines_calls_have_the_same_names_defaults_and_texts(operation: str, declared: type[Parameters]) -> None:
    calls: dict[str, Any] = {"animate": CinemoPipeline.film, "edit": CinemoPipeline.edit_film}
    made = calls[operation]
    arguments = inspect.signature(made).parameters
    named = " ".join((made.__doc__ or "").split())
    given: Any = declared()
    for name in set(declared.model_fields) - OUTSIDE_CALLS[declared] - {"noise_refinement", *DCT_INIT}:
        assert arguments[CALLED.get(name, name)].default == getattr(given, name)
        assert f"{CALLED.get(name, name)}: {texts_of(declared)[name]}" in named
    assert set(arguments_of(given)) <= set(arguments)
    assert arguments_of(given)["noise_refinement"] == arguments["noise_refinement"].default
    assert (DCTInit().cutoff, DCTInit().noise_level) == (given.noise_cutoff, given.noise_level)
    assert arguments["decode_chunk_frames"].default == DECODING.decode_chunk_frames


OUTSIDE = [
    pytest.param(operation, name, value, id=f"{operation}-{name}-{value}")
    for operation, declared in ALL
    for name, allowed in {**ranges_of(declared), **ranges_of(DecodingParameters)}.items()
    for value in (allowed.minimum - (allowed.multiple or 0.5), allowed.maximum + (allowed.multiple or 0.5))
] + [
    pytest.param(operation, name, "other", id=f"{operation}-{name}-other")
    for operation, declared in ALL
    for name, schema in schema_of(declared).items()
    if "enum" in schema
]


@pytest.mark.parametrize(("operation", "name", "value"), [case for case in OUTSIDE if is_of_calls(case)])
def test_the_pipeline_rejects_undeclared_values_by_name(
    tiny: CinemoPipeline, operation: str, name: str, value: Any
) -> None:
    called = DCT_INIT.get(name) or CALLED.get(name, name)
    with pytest.raises(InvalidParameter, match=f"^{called} must be "):
        call(
            tiny,
            operation,
            **{called: value} if name not in DCT_INIT else {"noise_refinement": DCTInit(**{called: value})},
        )


@pytest.mark.parametrize(("operation", "name", "value"), OUTSIDE)
def test_the_command_line_rejects_undeclared_values_by_name(operation: str, name: str, value: object) -> None:
    photo = str(photo_path("coffee.png"))
    arguments = [photo, "waves"] if operation == "animate" else [photo, photo]
    done = CliRunner().invoke(app, [operation, *arguments, f"--{name.replace('_', '-')}={value}"])
    assert done.exit_code in (1, 2)
    assert name in done.stderr or f"--{name.replace('_', '-')}" in done.stderr


@pytest.mark.parametrize("name", [name for name in AnimateParameters.model_fields if name != "adapters"])
def test_the_playground_has_a_control_for_each_with_its_words_and_default(name: str) -> None:
    schema, default = schema_of(AnimateParameters)[name], AnimateParameters.model_fields[name].default
    page = Tags(playground(read_assets()["index.html"], SETTINGS).body.decode())
    (at,) = [at for at, (_, each) in enumerate(page.found) if each.get("id") == name]
    tag, control = page.found[at]
    if tag == "input":
        numbers = {"min": "minimum", "max": "maximum"} if control["type"] == "range" else {}
        slid = {"num_inference_steps": {"maximum": 100}}.get(name, {})
        assert {each: control[each] for each in numbers} == {
            each: str((schema | slid)[key]) for each, key in numbers.items()
        }
        card = {"num_inference_steps": "20", "guidance_scale": "1.3", "seed": ""}
        assert control.get("value", "") == card.get(name, "" if default is None else str(default))
    else:
        options = list(takewhile(lambda each: each[0] == "option", page.found[at + 1 :]))
        words = schema.get("enum") or {"boolean": ["true", "false"]}.get(schema["type"], ["1", "2", "3"])
        chosen = [each["value"] for _, each in options if "selected" in each] or [options[0][1]["value"]]
        assert sorted(str(each["value"]) for _, each in options) == sorted(words)
        assert chosen == ["3" if default is None else str(default).lower() if default is True else default]


def test_every_declared_sampler_exists() -> None:
    assert tuple(SAMPLERS) == get_args(SamplerName)
