"""What the documents say of the code is what the code does."""

import re
from pathlib import Path

from service.api.animate import FORM_SCHEMA
from service.jobs.states import TRANSITIONS
from service.settings import Settings

ROOT = Path(__file__).parents[3]


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


def test_the_readme_names_every_field_of_the_form() -> None:
    shown = table(ROOT / "README.md", "| field of `POST /animate` | range | default |")
    properties = FORM_SCHEMA["properties"]
    assert isinstance(properties, dict)
    assert sorted(name for row in shown for name in re.findall("`(.+?)`", row[0])) == sorted(properties)


def test_the_readmes_settings_and_their_defaults_are_true() -> None:
    for variables, default, _ in table(ROOT / "README.md", "| variable | default | what |"):
        for variable in re.findall(r"`CINEMO_(\w+)`", variables):
            field = Settings.model_fields[variable.lower()]
            assert default == f"`{field.default}`" or field.default is None
    guidance = Settings.model_fields["default_guidance_scale"].default
    assert f"| `guidance_scale` | 1 (none) to 30 | {guidance} |" in (ROOT / "README.md").read_text()


def test_the_services_defaults_are_those_of_the_built_in_model() -> None:
    import json

    card = json.loads((ROOT / "cinemo_core" / "tiny" / "cinemo.json").read_text())
    assert card["guidance_scale"] == Settings.model_fields["default_guidance_scale"].default
    assert card["num_inference_steps"] == Settings.model_fields["default_num_inference_steps"].default
