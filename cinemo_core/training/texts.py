"""What a dataset's texts say: the records of a manifest, the caption of a video."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from cinemo_core.training.errors import DatasetError

MOST_CAPTION_BYTES = 64 * 1024
MOST_MANIFEST_BYTES = 256 * 1024 * 1024


def manifest_records(manifest: str, data: bytes) -> Iterator[tuple[str, str, str]]:
    """Of each record of a manifest, where it stands, the file that it names, and the caption.

    Raises:
        DatasetError: the manifest, or a line of it, is something else; the message names file and line.
    """
    for line, row in manifest_rows(manifest, data):
        where = f"{manifest}, line {line}"
        if not isinstance(row, dict):
            raise DatasetError(f"{where}: a record must be an object with file_name and caption, got {told(row)}")
        name, caption = row.get("file_name"), row.get("caption", "")
        if not isinstance(name, str) or not isinstance(caption, str):
            raise DatasetError(f"{where}: file_name and caption must be text")
        if not is_text(name) or not is_text(caption):
            raise DatasetError(f"{where}: file_name and caption must be Unicode text, without half of a surrogate pair")
        if len(caption.encode()) > MOST_CAPTION_BYTES:
            raise DatasetError(f"{where}: a caption may have {MOST_CAPTION_BYTES:,} bytes")
        yield where, name, caption


def manifest_rows(manifest: str, data: bytes) -> Iterator[tuple[int, Any]]:
    """What stands in each line of a manifest that is not empty, and the line's number."""
    try:
        text = data.decode("utf-8-sig")
    except ValueError as error:
        raise DatasetError(f"{manifest} cannot be read: {error}") from error
    line = 0
    try:
        if manifest.endswith(".csv"):
            reader = csv.DictReader(io.StringIO(text))
            for row in reader:
                line = reader.line_num
                yield line, row
            return
        # By this alone: texts may hold what Python takes for other ends of lines.
        for line, written in enumerate(text.split("\n"), 1):
            if written.strip():
                yield line, json.loads(written)
    except (ValueError, RecursionError, csv.Error) as error:
        raise DatasetError(f"{manifest}, line {line + manifest.endswith('.csv')}: cannot be read: {error}") from error


def read_caption(data: bytes, extension: str) -> str:
    """The text itself, or the `caption` of a JSON object; empty where there is none."""
    if extension == "txt":
        return read_text(data)
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    caption = fields.get("caption") if isinstance(fields, dict) else None
    return caption if isinstance(caption, str) and is_text(caption) else ""


def read_text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace").strip()


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8; JSON can name one half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def told(value: object) -> str:
    """The beginning of a value, as JSON."""
    return json.dumps(value)[:40]
