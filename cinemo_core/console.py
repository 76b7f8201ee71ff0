"""How the command line speaks of what went wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from PIL import UnidentifiedImageError
from pydantic import ValidationError

from cinemo_core.errors import CinemoError


@contextmanager
def errors_told() -> Iterator[None]:
    """What the caller can do something about is one line each, and exit status 1."""
    try:
        yield
    except ValidationError as error:
        for each in error.errors():
            typer.echo(f"error: {'.'.join(map(str, each['loc'])) or 'configuration'}: {each['msg']}", err=True)
        raise typer.Exit(1) from error
    except (CinemoError, UnidentifiedImageError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
