"""Checks whether the project supports the Python that runs this module, with which `make` is about to install it.

Imports none of our modules and runs on any Python 3, so that it also rejects the one included in macOS.
"""

import platform
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
SYSTEMS = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",)}
"""Processors by system for which all locked packages have wheels."""
OLDEST_DARWIN = 23
"""The kernel of macOS 14, the oldest with PyAV wheels. Some Pythons report macOS as 10.16, but none its kernel."""


def main() -> int:
    """Print the Python version and platform; returns 1 if the project doesn't support them."""
    system, processor = platform.system(), platform.machine()
    print(f"[setup] Python {platform.python_version()} for {system} on {processor}")
    problem = unsupported_reason(sys.version_info[:2], system, processor, platform.release())
    if problem:
        print(f"[setup] {problem}")
    return 1 if problem else 0


def unsupported_reason(python: "tuple[int, ...]", system: str, processor: str, release: str) -> str:
    """Why the project doesn't support a platform, with that release of the kernel; empty if it does."""
    if not OLDEST <= python <= NEWEST:
        return f"Cinemo needs Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if processor not in SYSTEMS.get(system, ()):
        return "Cinemo needs Linux on x86_64 or aarch64, or macOS on arm64, with a Python for that processor"
    if system == "Darwin" and int(release.partition(".")[0]) < OLDEST_DARWIN:
        return "Cinemo needs macOS 14 or newer"
    return ""


if __name__ == "__main__":
    sys.exit(main())
