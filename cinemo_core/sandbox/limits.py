"""What decoding one video may take, and how a process binds itself to it."""

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
NO_NEW_PRIVILEGES, PARENT_DEATH_SIGNAL = 38, 1
"""Options of Linux' prctl."""


@dataclass(frozen=True)
class MediaLimits:
    """Of one video.

    Attributes:
        memory_bytes: what decoding may take beyond the program itself: a frame of 4K takes 50 MB at most, and H.264
            refers to 16.
        seconds: of a processor; what waits for other programs is not counted.
        max_pixels: of a frame, width times height.
    """

    memory_bytes: int = 768 * MEBIBYTE
    seconds: float = 60
    max_pixels: int = 9_000_000


USUAL = MediaLimits()


def confine(limits: MediaLimits) -> None:
    """Bind this process, once all that it needs is loaded: it opens no file and no socket, writes no file, starts no
    process where it is not root, and takes no more memory than the limit. What it has open it keeps."""
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
    """Have the system end this process once it has used so many more seconds of a processor, in whole ones."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
