"""Stops a stack's processes when its launcher has ended, even if it was killed: `python -m deploy.local.orphans`.

It reads the IDs of their process groups, one per line. Its input ends with the launcher, because the kernel closes a
dead process's files. It runs in its own session, so that signals to the launcher's terminal or process group don't end
it.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence

GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05


def main() -> None:
    """Wait for the launcher's end, then stop the process groups."""
    groups = [int(line) for line in sys.stdin]
    signal_groups(groups, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(map(exists, groups)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    signal_groups(groups, signal.SIGKILL)


def signal_groups(groups: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to each process group that still exists, last started first."""
    for group in reversed(groups):
        if exists(group):
            os.killpg(group, number)


def exists(group: int) -> bool:
    """Whether the group has any processes left."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        # macOS raises PermissionError if only zombies are left in the group.
        return False
    return True


if __name__ == "__main__":
    main()
