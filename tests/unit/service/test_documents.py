"""What the documents say of the code is what the code does."""

import json
import re
from pathlib import Path

import service.client as client
from service.api.animate import FORM_SCHEMA
from service.client import CinemoError
from service.jobs.states import TRANSITIONS
from service.settings import Settings

ROOT = Path(__file__).parents[3]
FIELDS = Settings.model_fields
FORM_HEADER = "| field of `POST /animate` | range | default |"


def table(path: Path, header: str) -> list[list[str]]:
    """The rows of the Markdown table that has a header."""
    lines = path.read_text().splitlines()
    start = lines.index(header)
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_architecture_shows_the_table_of_states() -> None:
    shown = table(ROOT / "docs" / "architecture.md", "| state | event | next state |")
    assert shown == [[state, event, after] for (state, event), after in TRANSITIONS.items()]


def test_the_reference_names_every_field_of_the_form() -> None:
    shown = table(ROOT / "docs" / "reference.md", FORM_HEADER)
    properties = FORM_SCHEMA["properties"]
    assert isinstance(properties, dict)
    assert sorted(name for row in shown for name in re.findall("`(.+?)`", row[0])) == sorted(properties)


def test_the_readmes_settings_and_their_defaults_are_true() -> None:
    for variables, default, _ in table(ROOT / "README.md", "| variable | default | what |"):
        for variable in re.findall(r"`CINEMO_(\w+)`", variables):
            field = Settings.model_fields[variable.lower()]
            assert default == f"`{field.default}`" or field.default is None


def test_the_reference_has_every_setting_with_its_default_and_meaning() -> None:
    shown = table(ROOT / "docs" / "reference.md", "| variable | default | what |")
    assert shown == [
        [
            f"`CINEMO_{name.upper()}`",
            f"`{field.default}`" if field.default not in (None, ()) else "none",
            field.description,
        ]
        for name, field in Settings.model_fields.items()
    ]


def test_the_reference_has_the_services_defaults() -> None:
    defaults = {row[0]: row[2] for row in table(ROOT / "docs" / "reference.md", FORM_HEADER)}
    assert defaults["`guidance_scale`"] == str(Settings.model_fields["default_guidance_scale"].default)
    assert defaults["`num_inference_steps`"] == str(Settings.model_fields["default_num_inference_steps"].default)


def test_the_reference_names_every_call() -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    reference = (ROOT / "docs" / "reference.md").read_text()
    for path in document["paths"]:
        assert path.replace("{job_id}", "<id>").replace("{model}", "<model>") in reference


def test_the_services_defaults_are_those_of_the_built_in_model() -> None:
    card = json.loads((ROOT / "cinemo_core" / "tiny" / "cinemo.json").read_text())
    assert card["guidance_scale"] == Settings.model_fields["default_guidance_scale"].default
    assert card["num_inference_steps"] == Settings.model_fields["default_num_inference_steps"].default


def test_the_clients_page_explains_every_error() -> None:
    explained = [row[0].strip("`") for row in table(ROOT / "docs" / "client.md", "| error | what to do |")]
    classes = [getattr(client, name) for name in client.__all__]
    errors = {each.__name__ for each in classes if issubclass(each, CinemoError)}
    assert set(explained) == errors - {"CinemoError"}
