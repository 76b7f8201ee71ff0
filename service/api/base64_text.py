"""Decodes base64 (RFC 4648, section 4) in chunks, so that other threads run in between."""

import binascii
from collections.abc import Iterator

from service.contract.problems import ImageCorrupt, ImageTooLarge

CHUNK_BYTES = 256 * 1024
ESCAPES = {
    b"\\/": b"/",
    b"\\u002b": b"+",
    b"\\u002B": b"+",
    b"\\u002f": b"/",
    b"\\u002F": b"/",
    b"\\u003d": b"=",
    b"\\u003D": b"=",
}
"""How JSON encoders may escape base64 characters."""
LONGEST_ESCAPE = 6


def decode_base64(text: str | memoryview, max_bytes: int) -> bytes:
    """Decode base64; a `memoryview` may contain JSON escapes.

    Raises:
        ImageCorrupt: it is not base64, or a `data:` URL.
        ImageTooLarge: the result exceeds `max_bytes`.
    """
    encoded = memoryview(text.encode("utf-8", "replace")) if isinstance(text, str) else text
    if bytes(encoded[:5]) == b"data:":
        raise ImageCorrupt("send only the base64, without the `data:…;base64,` prefix")
    decoded, rest = bytearray(), b""
    for chunk in chunks(encoded):
        rest += chunk if isinstance(text, str) else unescaped(chunk)
        # Decode whole groups of four; the last group stays back, as only it may have padding.
        whole = max(0, len(rest) - 4) // 4 * 4
        if b"=" in rest[:whole]:
            raise ImageCorrupt("invalid base64: data after the padding")
        decoded += decode(rest[:whole])
        rest = rest[whole:]
        if len(decoded) > max_bytes:
            break
    decoded += decode(rest)
    if len(decoded) > max_bytes:
        raise ImageTooLarge(f"the image is larger than {max_bytes:,} bytes")
    return bytes(decoded)


def chunks(encoded: memoryview) -> Iterator[bytes]:
    """Split the text, but never inside an escape."""
    start = 0
    while start < len(encoded):
        chunk = bytes(encoded[start : start + CHUNK_BYTES])
        cut = chunk.rfind(b"\\", max(1, len(chunk) - LONGEST_ESCAPE + 1))
        if cut > 0 and start + len(chunk) < len(encoded):
            chunk = chunk[:cut]
        yield chunk
        start += len(chunk)


def unescaped(chunk: bytes) -> bytes:
    if b"\\" in chunk:
        for escape, character in ESCAPES.items():
            chunk = chunk.replace(escape, character)
    return chunk


def decode(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        # Many encoders break lines. JSON writes the breaks as escapes.
        broken = any(each in text for each in (b"\n", b"\r", b" ", b"\\n", b"\\r"))
        raise ImageCorrupt(f"invalid base64: {'it must not have line breaks' if broken else error}") from error
