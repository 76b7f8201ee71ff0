"""Detects whether a pickle is executed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


class Trap:
    """A pickle of this creates a file when it is executed."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.marker), "w")
