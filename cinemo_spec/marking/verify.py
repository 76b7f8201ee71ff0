"""`verify`: what a file says of how it was made, in plain words, with an exit status for scripts."""

from pathlib import Path
from typing import Annotated

import typer

from cinemo_spec.marking.files import source_types
from cinemo_spec.marking.statement import SourceType

MEANINGS = {
    SourceType.CREATED: "made by a generative model",
    SourceType.EDITED: "edited with a generative model",
}
UNMARKED = 2


def verify(
    file: Annotated[Path, typer.Argument(help="A video or picture of any kind.", exists=True, dir_okay=False)],
) -> None:
    """Say whether a file is marked as made with AI: exit status 0 if it is, 2 if it isn't.

    A plain mark is a statement without proof: anyone can add or remove it.
    """
    stated = source_types(file)
    if not stated:
        typer.echo(f"{file}: not marked as made with AI, which doesn't prove that it wasn't")
        raise typer.Exit(UNMARKED)
    told = " and ".join(MEANINGS[each] for each in stated)
    typer.echo(f"{file}: marked as {told} ({', '.join(stated)}); this isn't signed and proves nothing")
