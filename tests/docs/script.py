"""Turns a page's blocks into the bash script that somebody who follows the page would type.

Shell blocks stand as they are, so that a variable of one is there in the next. Blocks with a title become files. The
Python blocks without one are one program, which runs where the last of them stands. A block in a terminal of its own
goes on beside the others, which wait until the ports that it names are open.
"""

import re
from collections.abc import Sequence

from tests.docs.pages import Block

PRELUDE = """\
set -euo pipefail
until_listening() {  # PROCESS PORT; fails where the process ends before
  until (: < "/dev/tcp/127.0.0.1/$2") 2> /dev/null; do kill -0 "$1"; sleep 0.1; done
}
until_said() {  # PROCESS LOG TEXT; the same
  until grep -qs "$3" "$2"; do kill -0 "$1"; sleep 0.1; done
}
"""
PORT = re.compile(r"\b(?:8000|9\d\d\d)\b")
"""Of a server on the reader's machine."""
UP, UP_ON_ITS_PORT = "make up", "make up ARGUMENTS='--port 8000'"
UP_SAYS = "Ctrl-C stops everything"


def script_of(blocks: Sequence[Block]) -> str:
    """The script, which reports its position on stderr."""
    program = [block for block in blocks if block.language == "python" and not block.title]
    parts = [PRELUDE]
    for block in blocks:
        if block in program[:-1]:
            continue
        parts.append(f"echo '{block.place}' >&2\n")
        if block.title:
            parts.append(typed(f"cat > {block.title}", block.text))
        elif block in program:
            parts.append(typed("python -", "\n".join(each.text for each in program)))
        elif block.terminal:
            parts.append(in_a_terminal(block.text, f"terminal-{block.line}.log"))
        else:
            parts.append(block.text)
    return "".join(parts)


def in_a_terminal(text: str, log: str) -> str:
    """Commands that keep running; waits until their servers listen, or `make up` reports ready."""
    started = f"(\n{text.replace(UP, UP_ON_ITS_PORT)}) > {log} 2>&1 < /dev/null &\n"
    listening = "".join(f"until_listening $! {port}\n" for port in PORT.findall(text))
    return started + listening + (f"until_said $! {log} '{UP_SAYS}'\n" if UP in text else "")


def typed(command: str, text: str) -> str:
    """A command that reads text from the keyboard."""
    return f"{command} <<'END_OF_BLOCK'\n{text}END_OF_BLOCK\n"
