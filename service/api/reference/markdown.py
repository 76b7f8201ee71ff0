"""Renders a page as GitHub Markdown."""

from collections.abc import Iterable

from service.api.reference.blocks import Block, Code, Heading, Paragraph, Table


def markdown(blocks: Iterable[Block]) -> str:
    """Render the page, with a newline at the end."""
    return "\n\n".join(block_text(each) for each in blocks) + "\n"


def block_text(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Table(header, rows):
            return "\n".join(row_text(each) for each in (header, ("---",) * len(header), *rows))
        case Code(caption, language, text, folded):
            fenced = f"```{language}\n{text}\n```"
            return (
                f"<details><summary>{caption}</summary>\n\n{fenced}\n\n</details>"
                if folded
                else f"{caption}:\n\n{fenced}"
            )


def row_text(cells: tuple[str, ...]) -> str:
    """Render a row; a bar in a cell must be escaped, even in code."""
    return "".join(f"| {cell} " if cell else "| " for cell in (each.replace("|", r"\|") for each in cells)) + "|"
