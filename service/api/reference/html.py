"""Renders a page as HTML, without scripts and with the service's own style sheets."""

import html
import re
from string import Template

from service.api.reference.blocks import Block, Code, Heading, Paragraph, Table

PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>$title</title>
  <link rel="icon" href="web/icon.svg">
  <link rel="stylesheet" href="web/css/base.css">
  <link rel="stylesheet" href="web/css/reference.css">
</head>
<body>
<a class="skip" href="#content">Skip the contents</a>
<nav aria-label="Contents">
<p><a href="openapi.json">OpenAPI document</a></p>
<ul>
$contents
</ul>
</nav>
<main id="content">
$blocks
</main>
</body>
</html>
"""
)
INLINE = re.compile(r"`([^`]+)`|\[([^\]]+)\]\((#[\w-]+)\)")


def page_html(blocks: list[Block]) -> str:
    """Render the page, with links to its headings."""
    title, *headings = (each for each in blocks if isinstance(each, Heading))
    links = (
        f'<li class="level-{each.level}"><a href="#{each.anchor}">{inline(each.text)}</a></li>' for each in headings
    )
    return PAGE.substitute(
        title=inline(title.text),
        contents="\n".join(links),
        blocks="\n".join(block_html(each) for each in blocks),
    )


def block_html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f'<h{level} id="{block.anchor}">{inline(text)}</h{level}>'
        case Paragraph(text):
            return f"<p>{inline(text)}</p>"
        case Table(header, rows):
            return table_html(header, rows)
        case Code(caption, _, text, folded):
            outer, label = ("details", "summary") if folded else ("figure", "figcaption")
            shown = f"<pre><code>{html.escape(text)}</code></pre>"
            return f"<{outer}><{label}>{inline(caption)}</{label}>{shown}</{outer}>"


def table_html(header: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    """Render a table; the first cell of each row is its header."""
    names = "".join(f'<th scope="col">{inline(each)}</th>' for each in header)
    body = "\n".join(
        f'<tr><th scope="row">{inline(first)}</th>{"".join(f"<td>{inline(each)}</td>" for each in rest)}</tr>'
        for first, *rest in rows
    )
    return f"<table>\n<thead><tr>{names}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def inline(text: str) -> str:
    """Render inline Markdown; everything else is escaped."""

    def mark(found: re.Match[str]) -> str:
        name, label, target = found.groups()
        return f"<code>{name}</code>" if name else f'<a href="{target}">{label}</a>'

    return INLINE.sub(mark, html.escape(text))
