"""What agents can pass to the tools: the service's parameters, and files in folders that their user allowed."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from cinemo_client.errors import RequestInvalid
from cinemo_client.mcp.arguments import MAX_FILE_BYTES, PHOTO, VIDEO, read, request_body, take_files, without_omitted
from cinemo_client.mcp.tools import Tools
from cinemo_client.parameters import AnimateParameters, EditParameters
from deploy.cli import app

NOT_FOR_AGENTS = {"webhook_url", "webhook_events", "preview"}


def properties(tools: Tools, name: str) -> dict[str, Any]:
    (schema,) = [tool.input_schema for tool in tools.list() if tool.name == name]
    return dict(schema["properties"])


@pytest.mark.parametrize(
    ("tool", "parameters", "sources"),
    [("animate", AnimateParameters, PHOTO), ("edit", EditParameters, {**PHOTO, **VIDEO})],
)
def test_a_tool_accepts_all_parameters_of_the_service_except_webhooks_and_previews(
    tool: str, parameters: Any, sources: dict[str, str]
) -> None:
    expected = {"prompt", *parameters.__annotations__, *sources} - NOT_FOR_AGENTS
    assert properties(Tools(), tool).keys() == expected
    assert properties(Tools((Path(),)), tool).keys() - expected == {
        "animate": {"image_path"},
        "edit": {"image_path", "video_path"},
    }.get(tool)


def test_all_schemas_are_valid_and_each_argument_is_described_for_tools() -> None:
    for tool in Tools((Path(),)).list():
        Draft202012Validator.check_schema(tool.input_schema)
        for name, each in tool.input_schema["properties"].items():
            assert each["description"], name
            assert not {"In forms", "GET /", "webhook_url"} & set(each["description"].split("`")), name
            assert "In forms" not in each["description"], name
            assert {"type": "null"} not in each.get("anyOf", ()), name


def test_a_file_in_an_allowed_folder_is_read_by_relative_or_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "sea.jpg").write_bytes(b"sea")
    folders = (tmp_path / "elsewhere", tmp_path / "photos")
    monkeypatch.setenv("HOME", str(tmp_path))
    uri = (tmp_path / "photos" / "sea.jpg").as_uri()
    for path in ("sea.jpg", "../photos/sea.jpg", str(tmp_path / "photos" / "sea.jpg"), "~/photos/sea.jpg", uri):
        assert read(path, folders) == b"sea"


def test_files_outside_allowed_folders_are_not_read_even_through_links(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos-secret").mkdir()
    for name in ("secret", "photos-secret/key"):
        (tmp_path / name).write_bytes(b"secret")
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "photos" / "folder").symlink_to(tmp_path)
    paths = (
        "../secret",
        (tmp_path / "secret").as_uri(),
        "../photos-secret/key",
        "link",
        "folder/secret",
        "/etc/hostname",
        ".",
        "",
        "missing",
        "a\0b",
    )
    for path in (*paths, "x" * 5000):
        with pytest.raises(RequestInvalid) as raised:
            read(path, (tmp_path / "photos",))
        assert raised.value.code == "MCP.PATH"
        assert "secret" not in str(raised.value).replace(path, "")
    with pytest.raises(RequestInvalid, match="start the server with --folder"):
        read(str(tmp_path / "secret"), ())


def test_a_file_larger_than_the_services_limit_is_not_sent(tmp_path: Path) -> None:
    with (tmp_path / "film.mp4").open("wb") as film:
        film.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(RequestInvalid) as raised:
        read("film.mp4", (tmp_path,))
    assert raised.value.code == "MCP.FILE_TOO_LARGE"


def test_a_photo_in_base64_is_sent_as_a_form_file_beside_a_video(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"film")
    fields = {"video_path": "film.mp4", "image_base64": "c2Vh", "frames": 8}
    files = take_files(fields, (tmp_path,))
    assert request_body(fields, files) == {"data": {"frames": "8"}, "files": {"video": b"film", "image": b"sea"}}
    assert request_body({"image_base64": "c2Vh"}, {}) == {"json": {"image_base64": "c2Vh"}}
    with pytest.raises(RequestInvalid) as raised:
        request_body({"image_base64": "sea"}, files)
    assert raised.value.code == "MCP.BASE64"


def test_a_photo_is_not_accepted_twice() -> None:
    with pytest.raises(RequestInvalid) as raised:
        request_body({"image_base64": "c2Vh"}, {"image": b"sea"})
    assert raised.value.code == "MCP.SOURCES"


def test_null_and_empty_sources_count_as_omitted() -> None:
    given = {"prompt": "", "image_path": "sea.jpg", "image_url": None, "upload_id": "", "width": None, "seed": 0}
    assert without_omitted(given) == {"prompt": "", "image_path": "sea.jpg", "seed": 0}
    assert without_omitted(None) == {}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_rejected_before_they_are_sent(number: float) -> None:
    with pytest.raises(RequestInvalid) as raised:
        request_body({"adapters": [{"model": "waves", "weight": number}]}, {})
    assert raised.value.code == "MCP.NUMBER"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--http", "--folder", "."], "clients over HTTP"),
        (["--folder", "/nowhere"], "/nowhere is not a folder"),
        (["--url", "localhost:8000"], "is not the URL of a service"),
    ],
)
def test_the_command_rejects_folders_and_urls_that_it_cannot_open(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["mcp", *arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert said in done.output
