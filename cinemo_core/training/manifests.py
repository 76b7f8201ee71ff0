"""Reads manifests in the format of Hugging Face's tools: `metadata.jsonl`, `.csv` or `.parquet` with `file_name` and a
caption for each video."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cinemo_core.training.captions import CAPTION_COLUMNS, caption_of, decoded, is_text
from cinemo_core.training.errors import DatasetError

MANIFESTS = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
MAX_MANIFEST_BYTES = 256 * 1024 * 1024
FILE_COLUMN = "file_name"
DELIMITERS = ",;\t"
ROWS_AT_ONCE = 1024
MAX_COLUMNS_SHOWN = 20

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Record:
    """A line of a manifest; `where` names manifest and line for messages."""

    where: str
    file_name: str
    caption: str


def read_manifest(manifest: str, data: bytes, allow_uncaptioned: bool = False) -> Iterator[Record]:
    """The records of a manifest.

    Raises:
        DatasetError: the manifest or a line of it is invalid (the message names file and line), or it has no caption
            column without `allow_uncaptioned`.
    """
    columns: dict[str, None] = {}
    for line, row in rows_of(manifest, data):
        where = f"{manifest}, line {line}"
        if not isinstance(row, dict):
            raise DatasetError(
                f"{where}: a record must be an object with file_name and caption, got {abbreviated(row)}"
            )
        fields = {name.strip().lower(): value for name, value in row.items()}
        if len(columns) < MAX_COLUMNS_SHOWN or not captions_among(columns):
            columns |= dict.fromkeys(fields)
        try:
            yield Record(where, file_named(fields), caption_of(fields))
        except ValueError as error:
            raise DatasetError(f"{where}: {error}") from error
    if columns and not captions_among(columns) and not allow_uncaptioned:
        raise DatasetError(
            f"{manifest} has no captions: looked for {', '.join(CAPTION_COLUMNS)}, found "
            f"{', '.join(list(columns)[:MAX_COLUMNS_SHOWN])}; set data.allow_uncaptioned to train without"
        )


def captions_among(columns: Mapping[str, None]) -> bool:
    return any(name in columns for name in CAPTION_COLUMNS)


def file_named(fields: Row) -> str:
    """The file name in a record; as with Hugging Face, the column may have a prefix, as in `video_file_name`."""
    column = next((name for name in fields if name == FILE_COLUMN or name.endswith(f"_{FILE_COLUMN}")), FILE_COLUMN)
    name = fields.get(column)
    if not isinstance(name, str) or not name:
        raise ValueError(f"{FILE_COLUMN} must be a file name; found {', '.join(fields) or 'no fields'}")
    if not is_text(name):
        raise ValueError(f"{FILE_COLUMN} must be Unicode text, without half of a surrogate pair")
    return name


def rows_of(manifest: str, data: bytes) -> Iterator[tuple[int, Any]]:
    """The number and contents of each non-empty line of a manifest, or of each row of a Parquet table."""
    if manifest.lower().endswith(".parquet"):
        yield from parquet_rows(manifest, data)
        return
    try:
        text = decoded(data)
    except ValueError as error:
        raise DatasetError(f"{manifest} cannot be read: {error}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DatasetError(f"{manifest}, line {line}: neither UTF-8 nor UTF-16 with a byte order mark")
    yield from csv_rows(manifest, text) if manifest.lower().endswith(".csv") else jsonl_rows(manifest, text)


def jsonl_rows(manifest: str, text: str) -> Iterator[tuple[int, Any]]:
    # Not `splitlines`: captions may contain other characters that it splits at.
    for line, written in enumerate(text.split("\n"), 1):
        if written.strip():
            try:
                row = json.loads(written)
            except (ValueError, RecursionError) as error:
                raise DatasetError(f"{manifest}, line {line}: cannot be read: {error}") from error
            yield line, row


def csv_rows(manifest: str, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV table; each must have as many fields as the header."""
    header_line = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=header_line.count)
    # Without `strict`, an unclosed quote would turn the rest of the file into one field.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        header = next(reader, [])
        for row in reader:
            if not "".join(row).strip():
                continue
            if len(row) != len(header):
                raise csv.Error(
                    f"{len(row)} fields, but the header has {len(header)}; put texts with {delimiter!r} in quotes"
                )
            yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise DatasetError(f"{manifest}, line {max(reader.line_num, 1)}: cannot be read: {error}") from error


def parquet_rows(manifest: str, data: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a Parquet table, in batches, with only the columns of names and captions."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DatasetError(
            f"{manifest} needs pyarrow, which is not installed here: pip install 'cinemo-core[parquet]', or write "
            "metadata.jsonl instead"
        ) from error
    try:
        table = parquet.ParquetFile(pyarrow.BufferReader(data))
        names = table.schema_arrow.names
        wanted = [name for name in names if is_wanted(name.strip().lower())]
        row = 0
        for batch in table.iter_batches(ROWS_AT_ONCE, columns=wanted):
            for fields in batch.to_pylist():
                row += 1
                yield row, {**dict.fromkeys(names), **fields}
    except (pyarrow.ArrowException, OSError) as error:
        raise DatasetError(f"{manifest} cannot be read: {error}") from error


def is_wanted(column: str) -> bool:
    return column in CAPTION_COLUMNS or column == FILE_COLUMN or column.endswith(f"_{FILE_COLUMN}")


def abbreviated(value: object) -> str:
    """The beginning of a value, as JSON."""
    return json.dumps(value)[:40]
