"""Error reporting and output checks of the command line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from PIL import UnidentifiedImageError
from pydantic import ValidationError

from cinemo_core.encoding import FORMATS
from cinemo_spec.errors import CinemoError, InvalidParameter
from cinemo_spec.wording import with_place


@contextmanager
def report_errors() -> Iterator[None]:
    """Print errors that the caller can fix, one per line, and exit with status 1."""
    try:
        yield
    except ValidationError as error:
        for each in error.errors():
            typer.echo(f"error: {with_place(each, 'configuration')}", err=True)
        raise typer.Exit(1) from error
    except (CinemoError, UnidentifiedImageError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def check_video_output(path: Path) -> None:
    """Raise `InvalidParameter` if no video can be written to a path, before any work is done."""
    if path.suffix.lower() not in FORMATS:
        raise InvalidParameter(f"the output must end with {', '.join(FORMATS)}, got {path.name}")
    check_output(path)


def check_output(path: Path | None) -> None:
    """Raise `InvalidParameter` if a path is given and no file can be written to it."""
    if path is None:
        return
    if path.is_dir():
        raise InvalidParameter(f"the output {path} is a folder")
    if not path.parent.is_dir():
        raise InvalidParameter(f"the output's folder {path.parent} does not exist")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InvalidParameter(f"the output {path} cannot be written")


def check_output_folder(path: Path) -> None:
    """Raise `InvalidParameter` if a path cannot be used as a folder."""
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        raise InvalidParameter(f"the output {path} cannot be a folder: {there} is a file")
    if not os.access(there, os.W_OK):
        raise InvalidParameter(f"the output {path} cannot be written")
