"""Compares ETags."""


def is_known(tag: str, if_none_match: str) -> bool:
    """Whether `If-None-Match` contains the tag (RFC 9110, section 13.1.2), ignoring the `W/` of weak tags."""
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return bool(known & {tag.removeprefix("W/"), "*"})
