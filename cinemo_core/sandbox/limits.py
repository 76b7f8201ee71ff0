"""Bounds on the resources one decode may use, and how a process confines itself to them."""

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
NO_NEW_PRIVILEGES, PARENT_DEATH_SIGNAL = 38, 1
"""Options of Linux's prctl."""


@dataclass(frozen=True)
class MediaLimits:
    """Limits for decoding one video.

    Attributes:
        memory_bytes: memory for decoding, beyond the program itself: a 4K frame takes up to 50 MB, and H.264 refers to
            up to 16 of them.
        seconds: CPU time.
        max_pixels: width times height of a frame.
    """

    memory_bytes: int = 768 * MEBIBYTE
    seconds: float = 60
    max_pixels: int = 9_000_000


DEFAULT_LIMITS = MediaLimits()


def confine(limits: MediaLimits) -> None:
    """Confine this process, after it has loaded everything it needs.

    From then on it opens no file or socket, writes no file, starts no process unless it is root, and allocates no more
    memory than the limit. Open descriptors stay open.
    """
    nothing = {
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        libc.prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        nothing[resource.RLIMIT_AS] = address_space() + limits.memory_bytes
    for number, most in nothing.items():
        resource.setrlimit(number, (most, most))


def address_space() -> int:
    """Bytes of memory that this process has mapped."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def allow_seconds(seconds: float) -> None:
    """Have the system kill this process after that many more seconds of CPU time, rounded up."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
