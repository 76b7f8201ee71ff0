"""Links in the documentation have targets, and reach every page. Starts nothing."""

import os
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import ROOT, all_pages, anchors_of, links_of

INDEX = "docs/README.md"


def within(page: str) -> list[tuple[str, str]]:
    """Path from the root and anchor of each link of a page to the repository."""
    found = []
    for link in links_of(page):
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            path = os.path.normpath(os.path.join(os.path.dirname(page), unquote(parts.path))) if parts.path else page
            found.append((path, unquote(parts.fragment)))
    return found


@pytest.mark.parametrize("page", all_pages())
def test_every_link_of_a_page_has_a_target(page: str) -> None:
    for path, anchor in within(page):
        assert (ROOT / path).exists(), f"{page} links {path}"
        assert not anchor or anchor in anchors_of(path), f"{page} links {path}#{anchor}"


def test_the_index_lists_every_page() -> None:
    pages = {page for page in all_pages() if page.startswith("docs/") and page != INDEX}
    assert pages <= {path for path, _ in within(INDEX)}
