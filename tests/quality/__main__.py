"""`python -m tests.quality`: detail transfer against its thresholds, on photos and clips not used for tuning.

Writes the table of docs/detail.md. The clips come from the package index, once, into var/clips.
"""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer

from deploy.markers import replace_section
from tests.quality import bars
from tests.quality.bars import Row

BEGIN, END = "<!-- make quality: begin -->", "<!-- make quality: end -->"
HEAD = ("| what | at least | measured | |", "| --- | ---: | ---: | --- |")


class Section(StrEnum):
    """A part that can be measured alone."""

    MOTIONS = "motions"
    OCCLUSIONS = "occlusions"
    NATURAL = "natural"
    BETWEEN = "between"
    SPEED = "speed"


def main(
    only: Annotated[list[Section] | None, typer.Option(help="Parts; may be repeated.")] = None,
    clips: Annotated[Path, typer.Option(help="Where the natural clips are, or go.")] = Path("var/clips"),
    page: Annotated[Path, typer.Option(help="Where the table of a whole run goes.")] = Path("docs/detail.md"),
) -> None:
    """Measure each part, scene by scene, and print its figures beside their thresholds."""
    torch.set_num_threads(1)
    rows = []
    with torch.no_grad():
        for part in only or Section:
            for row in measure(part, clips):
                rows.append(row)
                print(line(row), flush=True)
    if not only:
        page.write_text(replace_section(page.read_text(), BEGIN, END, "\n".join((*HEAD, *map(line, rows)))))
    if not all(row.met for row in rows):
        raise typer.Exit(1)


def measure(part: Section, clips: Path) -> Iterator[Row]:
    match part:
        case Section.MOTIONS:
            return bars.motions(log)
        case Section.OCCLUSIONS:
            return bars.occlusions(log)
        case Section.NATURAL:
            return bars.natural_clips(log, clips)
        case Section.BETWEEN:
            return bars.in_between(log)
        case Section.SPEED:
            return bars.speed(log)


def log(what: str) -> None:
    print(f"  {what}", flush=True)


def line(row: Row) -> str:
    return f"| {row.what} | {row.bar} | {row.measured} | {'met' if row.met else '**missed**'} |"


if __name__ == "__main__":
    typer.run(main)
