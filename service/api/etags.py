"""What a client has already, by the ETags that it names."""


def is_known(tag: str, if_none_match: str) -> bool:
    """Whether a client has what the tag stands for, by its `If-None-Match` (RFC 9110, section 13.1.2).

    Tags are compared weakly: with or without `W/` they are the same.
    """
    known = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return bool(known & {tag.removeprefix("W/"), "*"})
