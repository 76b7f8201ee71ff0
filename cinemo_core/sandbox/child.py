"""The decoding process: `python -m cinemo_core.sandbox.child DESCRIPTOR LIMITS`.

It loads its libraries, confines itself, then serves requests about the open file DESCRIPTOR: one JSON object per line
on standard input, messages on standard output. It exits at end of input.
"""

import errno
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from fractions import Fraction
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, BinaryIO, cast

import av
from PIL import Image

from cinemo_core.sandbox.limits import MediaLimits, allow_seconds, confine
from cinemo_core.sandbox.messages import HEADER, LONGEST_TEXT, Kind
from cinemo_core.sandbox.reading import Cut, First, Fitted, Frame, read_cut, read_first
from cinemo_core.sandbox.source import Source
from cinemo_spec.errors import InvalidVideo

ANSWERS = 1
MAX_NUMBER = 2**32 - 1


def main(source: int, limits: MediaLimits) -> None:
    """Serve requests until end of input."""
    requests = Requests()
    load_all()
    # A terminal or service manager signals the whole group, but this process ends only with its parent.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    confine(limits)
    send(Kind.READY)
    for question in requests:
        assert question is not None
        allow_seconds(limits.seconds)
        try:
            answer(source, question, requests, limits.max_pixels)
        except MemoryError:
            send(Kind.NO_MEMORY)
            # The remaining memory may be fragmented, so let a new process take over.
            return
        except InvalidVideo as error:
            refuse(str(error))
        except Exception as error:
            # Three libraries may raise anything for an untrusted file.
            if getattr(error, "errno", None) == errno.ENOMEM:
                send(Kind.NO_MEMORY)
                return
            refuse(f"not a readable video: {error}")


def load_all() -> None:
    """Import everything PyAV and Pillow would load lazily, as no file can be opened after confinement."""
    Image.preinit()
    import_module("PIL.WebPImagePlugin")
    for module in walk_packages(av.__path__, f"{av.__name__}."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


class Requests(Iterator[dict[str, Any] | None]):
    """Requests read from standard input, one JSON value per line."""

    def __init__(self) -> None:
        self._lines = os.fdopen(0, "rb", closefd=False)

    def __next__(self) -> dict[str, Any] | None:
        line = self._lines.readline()
        if not line:
            raise StopIteration
        question: dict[str, Any] | None = json.loads(line)
        return question


def answer(source: int, question: dict[str, Any], requests: Requests, max_pixels: int) -> None:
    """Write each requested frame, then `END`."""

    def choose(available: int) -> Cut | None:
        send(Kind.COUNT, min(available, MAX_NUMBER))
        chosen = next(requests)
        return Cut(**chosen) if chosen else None

    file = cast(BinaryIO, io.BufferedReader(Source(source)))
    rate = Fraction(0)
    frames: Iterator[Frame | Fraction] = (
        read_cut(file, Fitted(**question), choose, max_pixels)
        if "width" in question
        else read_first(file, First(**question), max_pixels)
    )
    for each in frames:
        if isinstance(each, Fraction):
            rate = each.limit_denominator(1_000_000)
        else:
            height, width, _ = each.shape
            send(Kind.FRAME, height, width, each.tobytes())
    send(Kind.END, min(rate.numerator, MAX_NUMBER), rate.denominator)


def refuse(reason: str) -> None:
    text = reason.encode(errors="replace")[:LONGEST_TEXT]
    send(Kind.REFUSED, len(text), 0, text)


def send(kind: Kind, first: int = 0, second: int = 0, data: bytes = b"") -> None:
    """Write a message."""
    for part in (HEADER.pack(kind, first, second), data):
        view = memoryview(part)
        while view:
            view = view[os.write(ANSWERS, view) :]


if __name__ == "__main__":
    # Libraries can print without end about a malformed file, and nothing reads it.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    main(int(sys.argv[1]), MediaLimits(**json.loads(sys.argv[2])))
