"""The arguments of each tool, as JSON Schema, and their conversion to a request of the API.

Parameters come from the service's OpenAPI document (`arguments.json`, by `make generate`). Photos and videos are a URL,
an upload, an earlier job, a file in a folder that the user gave access to, or, for programs, base64.
"""

import base64
import binascii
import json
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from cinemo_client.calls import form_or_json
from cinemo_client.errors import RequestInvalid

Schema = dict[str, Any]

MAX_FILE_BYTES = 64 * 2**20
"""Of a file to send; the service accepts no larger file."""
GENERATED: dict[str, Schema] = json.loads(files(__package__).joinpath("arguments.json").read_text())

PHOTO = {
    "image_url": "URL of the photo, http or https, which the service fetches; it must be reachable from the internet.",
    "upload_id": "ID of a photo that was sent to the service's `POST /uploads`.",
    "image_base64": "The photo itself, base64-encoded, at most 16 MiB. For programs: don't write it out yourself.",
}
VIDEO = {
    "video_job_id": "ID of an earlier job whose video to take.",
    "video_upload_id": "ID of a video that was sent to the service's `POST /uploads`.",
}
PATHS = {"image_path": "image", "video_path": "video"}
"""The form field of the API for each argument that is a path."""
SOURCES = frozenset({*PHOTO, *VIDEO, *PATHS})


class StatusArguments(BaseModel):
    """Arguments of `status`."""

    model_config = ConfigDict(extra="forbid")

    job_id: str | None = Field(None, description="ID of the job; without it, your ten newest jobs are listed.")
    wait_seconds: int = Field(
        0, ge=0, le=50, description="Answer once the job has ended, or after so many seconds, instead of at once."
    )


class CancelArguments(BaseModel):
    """Arguments of `cancel`."""

    model_config = ConfigDict(extra="forbid")

    job_id: str = Field(description="ID of the job.")


class NoArguments(BaseModel):
    """Arguments of `models`."""

    model_config = ConfigDict(extra="forbid")


def job_schema(kind: str, folders: Sequence[Path]) -> Schema:
    """The arguments of `animate` or `edit`, with paths only if there are folders."""
    named = PHOTO if kind == "animate" else {**VIDEO, **PHOTO}
    sources = {name: {"type": "string", "description": text} for name, text in named.items()}
    for name, file in PATHS.items():
        if folders and (kind == "edit" or file == "image"):
            places = ", ".join(map(str, folders))
            sources[name] = {"type": "string", "description": f"Path of the {file} on this machine, within {places}."}
    parameters = GENERATED[kind]
    required = {"required": parameters["required"]} if "required" in parameters else {}
    properties = {**sources, **parameters["properties"]}
    return {"type": "object", "properties": properties, "additionalProperties": False, **required}


def schema_of(arguments: type[BaseModel]) -> Schema:
    """A model's schema without titles, which only repeat names, and without null for optional arguments."""
    schema = arguments.model_json_schema()
    return {
        "type": "object",
        "properties": {name: simplified(each) for name, each in schema["properties"].items()},
        "additionalProperties": False,
        **({"required": schema["required"]} if "required" in schema else {}),
    }


def simplified(schema: Schema) -> Schema:
    kept = {name: each for name, each in schema.items() if name not in ("title", "anyOf", "default")}
    kinds = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return {**(kinds[0] if kinds else {}), **kept}


def without_omitted(given: dict[str, Any] | None) -> dict[str, Any]:
    """The arguments without those that the agent leaves out, for which many send null, or of a source an empty text."""
    return {
        name: value
        for name, value in (given or {}).items()
        if value is not None and not (value == "" and name in SOURCES)
    }


def take_files(fields: dict[str, Any], folders: Sequence[Path]) -> dict[str, bytes]:
    """Remove the paths from the fields, and read their files.

    Raises:
        RequestInvalid: a file is not in one of the folders, or can't be read.
    """
    return {file: read(str(fields.pop(name)), folders) for name, file in PATHS.items() if name in fields}


def request_body(fields: dict[str, Any], sent: dict[str, bytes]) -> dict[str, Any]:
    """The body of a request to the API: JSON, or if there are files a form, which has no field for base64.

    Raises:
        RequestInvalid: invalid base64, a photo given twice, or a number that JSON doesn't have.
    """
    if sent and "image_base64" in fields:
        require_one_source("image", sent, "image_path", "image_base64")
        sent = {**sent, "image": decoded(str(fields["image_base64"]))}
        fields = {name: value for name, value in fields.items() if name != "image_base64"}
    try:
        json.dumps([value for value in fields.values() if not isinstance(value, str)], allow_nan=False)
    except ValueError as error:
        raise RequestInvalid("NaN and Infinity aren't valid JSON numbers", code="MCP.NUMBER") from error
    return form_or_json(fields, sent)


def require_one_source(file: str, sent: dict[str, bytes], *arguments: str) -> None:
    """Raise `RequestInvalid` if another argument has given this file."""
    if file in sent:
        raise RequestInvalid(f"give only one of {' and '.join(arguments)}", code="MCP.SOURCES")


def decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise RequestInvalid(f"image_base64 is not base64: {error}", code="MCP.BASE64") from error


def read(path: str, folders: Sequence[Path]) -> bytes:
    """The content of a file in one of the folders, after following symbolic links; the path may be a `file:` URI.

    Raises:
        RequestInvalid: it is outside of the folders, missing, not a file, too large or unreadable.
    """
    try:
        local = unquote(urlsplit(path).path) if path.startswith("file:") else path
        found = [place for folder in folders if (place := within(folder, local)) and place.is_file()]
        if found and found[0].stat().st_size <= MAX_FILE_BYTES:
            return found[0].read_bytes()
    except (OSError, ValueError) as error:
        raise RequestInvalid(f"{path!r} can't be read: {error}", code="MCP.PATH") from error
    if found:
        raise RequestInvalid(f"{path} is larger than {MAX_FILE_BYTES} bytes", code="MCP.FILE_TOO_LARGE")
    places = ", ".join(map(str, folders)) or "none; start the server with --folder to add one"
    raise RequestInvalid(f"{path} is not a file in one of the folders that you can read: {places}", code="MCP.PATH")


def within(folder: Path, path: str) -> Path | None:
    """The resolved path, or None if it is outside of the folder."""
    place = (folder / os.path.expanduser(path)).resolve()
    return place if place.is_relative_to(folder.resolve()) else None
