"""`make fuzz`: mutates pictures at random; each must be accepted or rejected in time, never with a 500.

What breaks that is kept in `tests/fuzz/seeds` beside the pictures that it begins with; the tests play all of them.
"""

import random
import time
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from tests.fuzz.mutants import mutant
from tests.fuzz.pictures import SEEDS, fault_of, seeds


def main(
    seconds: Annotated[float, typer.Option(help="How long to try.")] = 60,
    seed: Annotated[int | None, typer.Option(help="Of the run; drawn if not given.")] = None,
) -> None:
    """Mutate pictures until the time is over, and keep the first that breaks something."""
    seed = random.randrange(1_000_000) if seed is None else seed
    chance, known, tried = random.Random(seed), seeds(), 0
    print(f"seed {seed}, {len(known)} pictures to begin with", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutant(chance, known)
        tried += 1
        if fault := fault_of(data):
            path = keep(data)
            print(f"mutant {tried} is kept as {path}: {fault}", flush=True)
            raise typer.Exit(1)
    print(f"{tried:,} mutants, each taken or refused", flush=True)


def keep(data: bytes) -> Path:
    path = SEEDS / f"found-{sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


if __name__ == "__main__":
    typer.run(main)
