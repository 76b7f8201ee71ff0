"""Says whether the project runs on the Python that this runs on, by which `make` is about to install it.

Imports nothing of ours and runs on any Python 3, so that the one that macOS comes with is told, too.
"""

import platform
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
SYSTEMS = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",)}
"""Processors by system for which all that is locked is there, built."""
OLDEST_MACOS = 14


def main() -> int:
    """Say what was found; returns 1 if the project does not run on it."""
    system, processor = platform.system(), platform.machine()
    print(f"[setup] Python {platform.python_version()} for {system} on {processor}")
    wrong = complaint(sys.version_info[:2], system, processor, platform.mac_ver()[0])
    if wrong:
        print(f"[setup] {wrong}")
    return 1 if wrong else 0


def complaint(python: "tuple[int, ...]", system: str, processor: str, macos: str) -> str:
    """Why the project does not run there, or nothing."""
    if not OLDEST <= python <= NEWEST:
        return f"this needs Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if processor not in SYSTEMS.get(system, ()):
        return "this needs Linux on x86_64 or aarch64, or macOS on arm64, with a Python for that processor"
    if system == "Darwin" and int(macos.partition(".")[0]) < OLDEST_MACOS:
        return f"this needs macOS {OLDEST_MACOS} or newer"
    return ""


if __name__ == "__main__":
    sys.exit(main())
