"""Plain base64 (RFC 4648, section 4) as JSON has it, some at a time, so that no other thread waits for all of it."""

import binascii
from collections.abc import Iterator

from service.contract.problems import ImageCorrupt, ImageTooLarge

PIECE_BYTES = 256 * 1024
ESCAPES = {
    b"\\/": b"/",
    b"\\u002b": b"+",
    b"\\u002B": b"+",
    b"\\u002f": b"/",
    b"\\u002F": b"/",
    b"\\u003d": b"=",
    b"\\u003D": b"=",
}
"""What encoders of JSON write for characters of base64."""
LONGEST_ESCAPE = 6


def decode_base64(text: str | memoryview, max_bytes: int) -> bytes:
    """The bytes.

    Raises:
        ImageCorrupt: it is no base64, or a `data:` URL.
        ImageTooLarge: there are more than allowed.
    """
    # The little that comes as text has been parsed, and holds no escapes.
    encoded = memoryview(text.encode("utf-8", "replace")) if isinstance(text, str) else text
    if bytes(encoded[:5]) == b"data:":
        raise ImageCorrupt("send the base64 alone, without `data:…;base64,` before it")
    decoded, kept = bytearray(), b""
    for piece in pieces(encoded):
        # Of whole pieces alone may be told that they are wrong; only the last may be padded.
        kept += piece if isinstance(text, str) else unescaped(piece)
        whole = max(0, len(kept) - 4) // 4 * 4
        if b"=" in kept[:whole]:
            raise ImageCorrupt("this is no base64: it goes on behind its padding")
        decoded += decode(kept[:whole])
        kept = kept[whole:]
        if len(decoded) > max_bytes:
            break
    decoded += decode(kept)
    if len(decoded) > max_bytes:
        raise ImageTooLarge(f"the image is more than {max_bytes:,} bytes, which are allowed")
    return bytes(decoded)


def pieces(encoded: memoryview) -> Iterator[bytes]:
    """The text in parts of which none ends within an escape."""
    start = 0
    while start < len(encoded):
        piece = bytes(encoded[start : start + PIECE_BYTES])
        cut = piece.rfind(b"\\", max(1, len(piece) - LONGEST_ESCAPE + 1))
        if cut > 0 and start + len(piece) < len(encoded):
            piece = piece[:cut]
        yield piece
        start += len(piece)


def unescaped(piece: bytes) -> bytes:
    if b"\\" in piece:
        for escape, character in ESCAPES.items():
            piece = piece.replace(escape, character)
    return piece


def decode(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise ImageCorrupt(f"this is no base64: {error}") from error
