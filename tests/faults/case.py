"""A case: a fault, and the guarantees that must hold in spite of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.rig import Rig, open_rig


@dataclass(frozen=True)
class Run:
    """One run of a case; `scale` multiplies the numbers of the whole suite."""

    folder: Path
    seed: int
    scale: float = 1

    def rig(self, **settings: str) -> AbstractContextManager[Rig]:
        """Processes for this run alone."""
        return open_rig(self.folder, self.seed, **settings)

    def count(self, number: int) -> int:
        """A number multiplied by the scale."""
        return max(1, round(number * self.scale))


@dataclass(frozen=True)
class Case:
    """`play` returns the result in words, and raises `AssertionError` if a guarantee was broken."""

    name: str
    what: str
    play: Callable[[Run], str]
