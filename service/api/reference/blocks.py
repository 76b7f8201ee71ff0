"""The blocks of a page, independent of its output format.

Text is inline Markdown, limited to `code`, [links](#to-headings) and plain text.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """A page has one heading of level 1, its title."""

    level: int
    text: str

    @property
    def anchor(self) -> str:
        """The target of links to it."""
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
    """A code block with a caption; a folded one shows only the caption until it is opened."""

    caption: str
    language: str
    text: str
    folded: bool = False


Block = Heading | Paragraph | Table | Code


def anchor(heading: str) -> str:
    """Return a heading's link target, as GitHub generates it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def link(heading: str, text: str | None = None) -> str:
    """Return inline Markdown that links to a heading."""
    return f"[{text or heading}](#{anchor(heading)})"


def code(text: object) -> str:
    """Return inline Markdown for code."""
    return f"`{text}`"
