"""Parses the documentation's Markdown: code blocks, links and anchors of headings."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from service.api.reference.blocks import anchor

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "deploy")
TITLE = "title="
TERMINAL = "terminal"


@dataclass(frozen=True)
class Block:
    """A fenced block. What stands after its language says how a reader takes it, and GitHub does not show it.

    Attributes:
        page: the page's path from the root.
        line: of the opening fence, from 1.
        title: the file that the reader saves it as, by `title=NAME`; empty for none.
        terminal: whether it goes on in a terminal of its own, by `terminal`.
    """

    page: str
    line: int
    language: str
    text: str
    title: str = ""
    terminal: bool = False

    @property
    def place(self) -> str:
        """Location in the form that editors understand."""
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        return self.text.split("\n", 1)[0]


def all_pages() -> list[str]:
    """Every page, by its path from the root."""
    found = [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


@cache
def blocks_of(page: str) -> tuple[Block, ...]:
    """A page's fenced blocks, in order."""
    return tuple(read_block(page, token) for token in tokens_of(page) if token.type == "fence")


def read_block(page: str, token: Token) -> Block:
    """Parse a block and its fence; raises `ValueError` for unknown words."""
    language, *words = shlex.split(token.info) or [""]
    assert token.map is not None
    block = Block(page, token.map[0] + 1, language, token.content)
    titles = [word.removeprefix(TITLE) for word in words if word.startswith(TITLE)]
    unknown = [word for word in words if not word.startswith(TITLE) and word != TERMINAL]
    if unknown or len(titles) > 1:
        raise ValueError(f"{block.place}: a fence says {token.info!r}")
    return Block(page, block.line, language, token.content, "".join(titles), TERMINAL in words)


def links_of(page: str) -> Iterator[str]:
    """Targets of a page's links and images, as written."""
    for token in tokens_of(page):
        for part in token.children or ():
            target = part.attrGet("href") or part.attrGet("src")
            if target:
                yield str(target)


def spans_of(page: str) -> Iterator[str]:
    """Inline code in a page's sentences and tables."""
    for token in tokens_of(page):
        yield from (part.content for part in token.children or () if part.type == "code_inline")


@cache
def anchors_of(page: str) -> frozenset[str]:
    """Anchors of a page, by GitHub's rule for headings."""
    tokens = tokens_of(page)
    found: list[str] = []
    for heading, inline in pairwise(tokens):
        if heading.type != "heading_open":
            continue
        text = "".join(part.content for part in inline.children or ())
        slug = anchor(text)
        again = found.count(slug)
        found.append(slug if not again else f"{slug}-{again}")
    return frozenset(found)


@cache
def tokens_of(page: str) -> list[Token]:
    """A page's parsed tokens."""
    return MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text())
