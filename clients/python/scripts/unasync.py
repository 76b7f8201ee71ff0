"""Generates the client's blocking half, `sync.py`, from the asynchronous one, `aio.py`, or says that it is stale.

It works token by token: names change in code, and in docstrings only the few words that differ.
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
    "The client for programs that run on asyncio.": (
        "The client for programs that block. Generated from `aio.py` by `make generate`: do not edit."
    ),
    "an asynchronous context manager": "a context manager",
    "AsyncJobHandle": "JobHandle",
}


def main() -> None:
    """Write the file, or with `--check` exit with 1 if it is stale."""
    parser = argparse.ArgumentParser(description="Generate the client's blocking half from the asynchronous one.")
    parser.add_argument("--check", action="store_true", help="only report whether it is stale")
    check: bool = parser.parse_args().check
    made = formatted(blocking(ASYNC.read_text()))
    if not check:
        SYNC.write_text(made)
    elif SYNC.read_text() != made:
        sys.exit(f"stale: {SYNC.name}; run `make generate`")


def blocking(source: str) -> str:
    """The module without `async` and `await`, with the names of the blocking half."""
    made, done = "", 0
    for start, end, text in changes(source):
        made += source[done:start] + text
        done = end
    return made + source[done:]


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
    for asynchronous, instead in TEXTS.items():
        string = string.replace(asynchronous, instead)
    return string


def formatted(source: str) -> str:
    """The source as `ruff format` has it."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(SYNC), "-"]
    return subprocess.run(command, input=source, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
