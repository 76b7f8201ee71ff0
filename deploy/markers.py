"""Replaces the generated section of a page, between two markers; the rest is written by hand."""


class MarkersMissing(Exception):
    """A page lacks one of the markers, or has them in the wrong order."""


def replace_section(page: str, begin: str, end: str, text: str) -> str:
    """Return the page with `text` on the lines between its markers.

    Raises:
        MarkersMissing: the page has no such section.
    """
    before, opened, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise MarkersMissing(f"no {begin} followed by {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"
