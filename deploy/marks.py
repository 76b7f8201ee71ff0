"""The part of a page that a command writes anew, between two marks that stay; the rest is written by hand."""


class MarksMissing(Exception):
    """A page lacks one of two marks, or has them the other way round."""


def write_between(page: str, begin: str, end: str, text: str) -> str:
    """The page with `text` on the lines between its marks.

    Raises:
        MarksMissing: there is no such place.
    """
    before, opened, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise MarksMissing(f"no {begin} with an {end} after it")
    return f"{before}{begin}\n{text}\n{end}{after}"
