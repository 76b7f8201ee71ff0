"""Generates the synchronous client, `sync.py`, from the asynchronous one, `aio.py`, or reports that it is stale.

It replaces tokens: names in code, and in docstrings only the few words that differ.
"""

import argparse
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "cinemo_client"
ASYNC, SYNC = PACKAGE / "aio.py", PACKAGE / "sync.py"

DROPPED = {"async", "await"}
NAMES = {
    "AsyncClient": "Client",
    "AsyncIterator": "Iterator",
    "AsyncJobHandle": "JobHandle",
    "AsyncTransport": "Transport",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "aread": "read",
    "asyncio": "time",
}
TEXTS = {
    "The asyncio client.": ("The synchronous client. Generated from `aio.py` by `make generate`: do not edit."),
    "an asynchronous context manager": "a context manager",
    "AsyncJobHandle": "JobHandle",
}


def main() -> None:
    """Write the file, or with `--check` exit with 1 if it is stale."""
    parser = argparse.ArgumentParser(description="Generate the synchronous client from the asynchronous one.")
    parser.add_argument("--check", action="store_true", help="only report whether it is stale")
    check: bool = parser.parse_args().check
    generated = formatted(synchronous(ASYNC.read_text()))
    if not check:
        SYNC.write_text(generated)
    elif SYNC.read_text() != generated:
        sys.exit(f"stale: {SYNC.name}; run `make generate`")


def synchronous(source: str) -> str:
    """The module without `async` and `await`, with the names of the synchronous client."""
    result, done = "", 0
    for start, end, text in changes(source):
        result += source[done:start] + text
        done = end
    return result + source[done:]


def changes(source: str) -> Iterator[tuple[int, int, str]]:
    """The ranges of the source to replace, and with what."""
    lines = [0, *accumulate(map(len, source.splitlines(keepends=True)))]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        start, end = (lines[row - 1] + column for row, column in (token.start, token.end))
        if token.type == tokenize.NAME and token.string in DROPPED:
            yield start, end + 1, ""
        elif token.type == tokenize.NAME and token.string in NAMES:
            yield start, end, NAMES[token.string]
        elif token.type == tokenize.STRING:
            yield start, end, text_of(token.string)


def text_of(string: str) -> str:
    for asynchronous, synchronous_text in TEXTS.items():
        string = string.replace(asynchronous, synchronous_text)
    return string


def formatted(source: str) -> str:
    """The source, formatted by ruff."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(SYNC), "-"]
    return subprocess.run(command, input=source, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
