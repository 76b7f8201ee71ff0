"""Ends the parts of a stack whose launcher is gone, however it went: `python -m deploy.local.keeper`.

It reads the parts' process groups, a number a line, and its input ends when the launcher does, as the kernel closes
what a killed process had open. It stands in a session of its own, so that what ends the launcher by its terminal or its
group leaves this process to do its work.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence

GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05


def main() -> None:
    """Wait for the launcher's end, then see to that of the parts."""
    groups = [int(line) for line in sys.stdin]
    tell(groups, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(map(lives, groups)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    tell(groups, signal.SIGKILL)


def tell(groups: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to all processes of each group that is still there, the last started first."""
    for group in reversed(groups):
        if lives(group):
            os.killpg(group, number)


def lives(group: int) -> bool:
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
