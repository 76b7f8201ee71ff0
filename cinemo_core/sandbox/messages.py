"""What the process that decodes says: a kind, two numbers, and as many bytes as follow from them.

Nothing is ever parsed but these three numbers, so that a process which a video has taken over cannot do more than lie
about a picture.
"""

import struct
from enum import IntEnum

HEADER = struct.Struct("!BII")
LONGEST_TEXT = 1000


class Kind(IntEnum):
    """What a message is."""

    READY = 1
    """The process has bound itself and waits to be asked."""
    COUNT = 2
    """So many frames there are; the answer says which are wanted."""
    FRAME = 3
    """Of so many rows and columns; their RGB bytes follow."""
    END = 4
    """There are no more; frames a second as a fraction."""
    REFUSED = 5
    """It is no video that can be read; so many bytes of text say why."""
    NO_MEMORY = 6
    """It would take more memory than it may."""
