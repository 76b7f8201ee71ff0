"""The documentation matches the code."""

import re
from enum import StrEnum
from pathlib import Path

import cinemo_client as client
from cinemo_client import CinemoError
from service.api.animate import FORM_SCHEMA
from service.contract.requests import MAX_METADATA, MAX_PROMPT_CODE_POINTS
from service.contract.settings import Settings
from service.contract.states import TRANSITIONS, WRITERS, Effect, Writer

ROOT = Path(__file__).parents[3]


def table(path: Path, header: str) -> list[list[str]]:
    """The rows of the Markdown table with a header."""
    lines = path.read_text().splitlines()
    start = lines.index(header)
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_architecture_page_shows_the_table_of_states() -> None:
    page = ROOT / "docs" / "architecture.md"
    assert table(page, "| state | event | requested by | next state | effects |") == [
        [state, event, named(Writer, WRITERS[event]), move.after, named(Effect, move.effects)]
        for (state, event), move in TRANSITIONS.items()
    ]
    assert [row[0] for row in table(page, "| writer | description |")] == list(Writer)
    assert [row[0] for row in table(page, "| effect | description |")] == list(Effect)


def named(kind: type[StrEnum], some: frozenset[StrEnum]) -> str:
    """Members of an enum, in its order."""
    return ", ".join(each for each in kind if each in some)


def test_the_readmes_settings_and_defaults_are_correct() -> None:
    for variables, default, _ in table(ROOT / "README.md", "| variable | default | description |"):
        for variable in re.findall(r"`CINEMO_(\w+)`", variables):
            field = Settings.model_fields[variable.lower()]
            assert default == f"`{field.default}`" or field.default is None


def test_the_settings_page_lists_each_with_default_and_meaning() -> None:
    shown = table(ROOT / "docs" / "settings.md", "| variable | default | description |")
    assert shown == [
        [
            f"`CINEMO_{name.upper()}`",
            f"`{field.default}`" if field.default not in (None, ()) else "none",
            field.description,
        ]
        for name, field in Settings.model_fields.items()
    ]


def test_descriptions_state_the_maximum_length_of_text() -> None:
    descriptions = {name: each["description"] for name, each in FORM_SCHEMA["properties"].items()}
    assert f"1 to {MAX_PROMPT_CODE_POINTS} code points" in descriptions["prompt"]
    assert f"up to {MAX_METADATA} names" in descriptions["metadata"]


def test_the_clients_page_explains_every_error() -> None:
    explained = [row[0].strip("`") for row in table(ROOT / "docs" / "client.md", "| error | what to do |")]
    classes = [getattr(client, name) for name in client.__all__]
    errors = {each.__name__ for each in classes if issubclass(each, CinemoError)}
    assert set(explained) == errors - {"CinemoError"}
