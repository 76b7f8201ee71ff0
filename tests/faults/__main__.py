"""`make faults`: kills processes and checks every guarantee; writes the table in docs/reliability.md.

A run prints its seed first; `--seed` makes the same choices of whom to kill and when again.
"""

import os
import random
import shutil
import tempfile
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deploy.local.stack import interrupt_on_signals
from deploy.markers import replace_section
from tests.faults import day, killings, neighbours, outside, powercut, rolling, states
from tests.faults.case import Case, Run
from tests.forked import open_nursery

CASES = (*killings.CASES, *powercut.CASES, *outside.CASES, *rolling.CASES, *neighbours.CASES, *day.CASES, *states.CASES)
BEGIN, END = "<!-- make faults: begin -->", "<!-- make faults: end -->"
HEAD = ("| case | result | seconds |", "| --- | --- | ---: |")


def main(
    seed: Annotated[int | None, typer.Option(help="Of the run; drawn if not given.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Names of cases; may be repeated.")] = None,
    scale: Annotated[float, typer.Option(help="Multiplies the numbers of jobs and kills.")] = 1,
    page: Annotated[Path, typer.Option(help="Where the table of a whole run goes.")] = Path("docs/reliability.md"),
) -> None:
    """Run the cases one after another."""
    seed = random.randrange(1_000_000) if seed is None else seed
    chosen = [case for case in CASES if not only or case.name in only]
    if only and len(chosen) < len(only):
        raise typer.BadParameter(f"the cases are {', '.join(case.name for case in CASES)}")
    print(f"seed {seed}, scale {scale:g}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="cinemo-faults-"))
    began = datetime.now(UTC)
    # Many processes share few cores here.
    os.environ["OMP_NUM_THREADS"] = "1"
    with interrupt_on_signals(), open_nursery():
        print("\n".join(HEAD), flush=True)
        rows = [play(case, Run(folder / case.name, seed, scale)) for case in chosen]
    if None in rows:
        print(f"promises were broken; the same again: make faults ARGUMENTS='--seed {seed}'", flush=True)
        raise typer.Exit(1)
    shutil.rmtree(folder)
    if not only:
        title = f"Seed {seed}, scale {scale:g}, {began:%Y-%m-%d}:"
        table = "\n".join((title, "", *HEAD, *filter(None, rows)))
        page.write_text(replace_section(page.read_text(), BEGIN, END, table))


def play(case: Case, run: Run) -> str | None:
    """A row of the table; None if a guarantee was broken, which is then printed."""
    began = time.monotonic()
    try:
        summary = case.play(run)
    except Exception:
        print(f"| {case.name}: {case.what} | BROKEN | {time.monotonic() - began:.0f} |", flush=True)
        traceback.print_exc()
        return None
    row = f"| **{case.name}**: {case.what} | {summary} | {time.monotonic() - began:.0f} |"
    print(row, flush=True)
    return row


if __name__ == "__main__":
    typer.run(main)
