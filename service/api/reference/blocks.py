"""What a page is made of, whatever it is written in.

All text is inline Markdown of three kinds alone: `code`, [a link](#to-somewhere) and plain text.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """Level 1 is the page's own, and stands once."""

    level: int
    text: str

    @property
    def anchor(self) -> str:
        """Where links to it lead."""
        return anchor(self.text)


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Table:
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Code:
    """`caption` says what it is; a folded one is not shown until it is asked for."""

    caption: str
    language: str
    text: str
    folded: bool = False


Block = Heading | Paragraph | Table | Code


def anchor(heading: str) -> str:
    """The name of a heading in links, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def link(heading: str, text: str | None = None) -> str:
    """Inline Markdown that leads to a heading."""
    return f"[{text or heading}](#{anchor(heading)})"


def code(text: object) -> str:
    """Inline Markdown of some code."""
    return f"`{text}`"
