"""Parses the tags of a page."""

from html.parser import HTMLParser


class Tags(HTMLParser):
    """The tags of the page, each with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, **wanted: str) -> dict[str, str | None]:
        """The attributes of the only tag that has the given ones."""
        (found,) = [each for _, each in self.found if wanted.items() <= each.items()]
        return found
