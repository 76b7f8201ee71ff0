"""Wire format of the decoding process's messages: a kind, two numbers, and the bytes they announce.

The reader parses only these three numbers, so a process compromised by a video can at most return wrong pixels.
"""

import struct
from enum import IntEnum

HEADER = struct.Struct("!BII")
LONGEST_TEXT = 1000


class Kind(IntEnum):
    """Type of a message."""

    READY = 1
    """The process is confined and waits for requests."""
    COUNT = 2
    """Number of frames in the video; the reply is the cut to decode."""
    FRAME = 3
    """Height and width of a frame; its RGB bytes follow."""
    END = 4
    """No more frames; the numbers are the frame rate as a fraction."""
    REFUSED = 5
    """The video cannot be read; that many bytes of text say why."""
    NO_MEMORY = 6
    """Decoding needs more memory than the limit."""
