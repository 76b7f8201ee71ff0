"""Decodes videos in a child process and enforces its limits.

Whatever a video does to that process becomes an `InvalidVideo`, and the next video gets a new process.
"""

import fcntl
import json
import os
import select
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import Self

import cinemo_core
from cinemo_core.media import Frames
from cinemo_core.sandbox.limits import DEFAULT_LIMITS, MEBIBYTE, MediaLimits
from cinemo_core.sandbox.messages import HEADER, LONGEST_TEXT, Kind
from cinemo_core.sandbox.reading import Cut, First, Fitted
from cinemo_spec.errors import InvalidVideo

PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL")
"""Environment variables that the child inherits; none holds a secret."""
ALONE = ["-P"] if sys.version_info >= (3, 11) else []
"""Import nothing from the working directory, which is `/`; Python 3.10 has no such option."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")

LISTEN_SECONDS = 0.2
WAITS_FOR_A_SECOND = 5
"""Wall-clock seconds allowed per second of CPU time, for busy machines."""
START_SECONDS = 60
PIPE_BYTES = 1024 * 1024


class DecoderDied(InvalidVideo):
    """The decoding process died while decoding a video."""


class FramesMissing(InvalidVideo):
    """The video is damaged within this cut; other cuts may be intact."""


class DecoderUnavailable(RuntimeError):
    """The decoding process does not start, whatever the video."""


class OutOfLimits(InvalidVideo):
    """Decoding exceeded its limit of memory or time."""


def never_stop() -> None:
    """The default `check`: never stop."""


class Decoder:
    """A client of one decoding process, which starts on first use and is replaced after it dies.

    Not thread-safe. A pickled copy starts a process of its own.
    """

    def __init__(
        self, limits: MediaLimits = DEFAULT_LIMITS, check: Callable[[], None] = never_stop, source: int | None = None
    ) -> None:
        """Decode videos given as bytes, or the one file open as descriptor `source`.

        `check` is called while the process works, and raises to stop it.
        """
        self.limits = limits
        self.rate = 0.0
        self._check, self.source = check, source
        self.process: subprocess.Popen[bytes] | None = None
        self._scratch: int | None = None
        self._served, self._left = 0, 0.0

    def __getstate__(self) -> dict[str, Any]:
        return {"limits": self.limits}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Kill the process, whatever it is doing."""
        self._stop()
        if self._scratch is not None:
            os.close(self._scratch)
            self._scratch = None

    def first(self, count: int | None, interval: int = 1, data: bytes | None = None) -> Iterator[Frames]:
        """Yield the first `count` of every `interval`-th frame `(h, w, 3)`; then `rate` holds the frame rate.

        Raises:
            InvalidVideo: the video cannot be read, or exceeds the limits.
        """
        done = False
        self._ask(asdict(First(count, interval)), data)
        try:
            while True:
                kind, one, two = self._receive()
                if kind is Kind.END:
                    done, self.rate = True, one / max(two, 1)
                    return
                yield self._frame(kind, one, two)
        finally:
            if not done:
                self._stop()

    def cut(self, data: bytes, wanted: Fitted, choose: Callable[[int], Cut]) -> Frames:
        """The frames `(f, h, w, 3)` of the cut that `choose` returns for the number of frames; raises as `first`.

        Other exceptions of `choose` propagate.
        """
        fresh = self._served == 0
        try:
            return self._cut(data, wanted, choose)
        except (OutOfLimits, DecoderDied):
            # Earlier videos may have used up the process's memory; a clip must not depend on them.
            if fresh:
                raise
            return self._cut(data, wanted, choose)

    def _cut(self, data: bytes, wanted: Fitted, choose: Callable[[int], Cut]) -> Frames:
        self._ask(asdict(wanted), data)
        frames = np.empty((wanted.count, wanted.height, wanted.width, 3), np.uint8)
        found = 0
        while True:
            kind, one, two = self._receive()
            if kind is Kind.COUNT:
                self._send_cut(choose, one)
            elif kind is Kind.END:
                break
            elif kind is Kind.FRAME and found < wanted.count and (one, two) == (wanted.height, wanted.width):
                self._fill(frames[found])
                found += 1
            else:
                raise self._unexpected()
        if found < wanted.count:
            raise FramesMissing(f"{wanted.count - found} of the clip's frames cannot be decoded")
        return frames

    def _send_cut(self, choose: Callable[[int], Cut], available: int) -> None:
        """Send the cut that `choose` returns; if it raises `InvalidVideo`, cancel the request and re-raise."""
        try:
            chosen = choose(available)
        except InvalidVideo:
            self._write(None)
            if self._receive()[0] is not Kind.END:
                raise self._unexpected() from None
            raise
        self._write(asdict(chosen))

    def _ask(self, question: dict[str, Any], data: bytes | None) -> None:
        if data is not None:
            self._put(data)
        if self.process is None:
            self._start()
        self._served += 1
        self._write(question)

    def _put(self, data: bytes) -> None:
        """Write a video to the file that the process reads."""
        if self._scratch is None:
            self._scratch = memory_file()
        os.ftruncate(self._scratch, 0)
        view, written = memoryview(data), 0
        while written < len(view):
            written += os.pwrite(self._scratch, view[written:], written)

    def _start(self) -> None:
        source = self.source if self.source is not None else self._scratch
        assert source is not None
        arguments = [str(source), json.dumps(asdict(self.limits))]
        self.process = subprocess.Popen(
            [sys.executable, *ALONE, "-m", "cinemo_core.sandbox.child", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[source],
            bufsize=0,
            cwd="/",
            env=environment(),
        )
        self._served, self._left = 0, float(START_SECONDS)
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        with suppress(OSError, AttributeError):
            fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        try:
            if self._receive()[0] is not Kind.READY:
                raise self._unexpected()
        except InvalidVideo as error:
            raise DecoderUnavailable("the process that decodes videos does not start") from error

    def _write(self, question: dict[str, Any] | None) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self._left = WAITS_FOR_A_SECOND * (self.limits.seconds + 1)
        try:
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
        except BrokenPipeError:
            raise self._ended() from None

    def _receive(self) -> tuple[Kind, int, int]:
        """Read the next message; raise the error that it reports, if any."""
        self._check_may_continue()
        header = np.empty(HEADER.size, np.uint8)
        self._fill(header)
        number, one, two = HEADER.unpack(header.tobytes())
        try:
            kind = Kind(number)
        except ValueError:
            raise self._unexpected() from None
        if kind is Kind.NO_MEMORY:
            self._stop()
            raise OutOfLimits(self._too_much_memory)
        if kind is Kind.REFUSED:
            if one > LONGEST_TEXT:
                raise self._unexpected()
            text = np.empty(one, np.uint8)
            self._fill(text)
            raise InvalidVideo(text.tobytes().decode(errors="replace"))
        return kind, one, two

    def _frame(self, kind: Kind, height: int, width: int) -> Frames:
        if kind is not Kind.FRAME or not 0 < height * width <= self.limits.max_pixels:
            raise self._unexpected()
        frame: Frames = np.empty((height, width, 3), np.uint8)
        self._fill(frame)
        return frame

    def _fill(self, target: Frames) -> None:
        """Fill an array with the process's output, within the time it has left."""
        assert self.process is not None
        assert self.process.stdout is not None
        output = self.process.stdout.fileno()
        poll = select.poll()
        poll.register(output, select.POLLIN)
        view = target.reshape(-1).data if target.size else memoryview(b"")
        while view:
            began = time.monotonic()
            ready = poll.poll(LISTEN_SECONDS * 1000)
            self._left -= time.monotonic() - began
            if not ready:
                self._check_may_continue()
                continue
            read = os.readv(output, [view])
            if read == 0:
                raise self._ended()
            view = view[read:]

    def _check_may_continue(self) -> None:
        try:
            self._check()
        except BaseException:
            self._stop()
            raise
        if self._left < 0:
            self._stop()
            raise OutOfLimits(self._too_long)

    def _ended(self) -> InvalidVideo:
        """The error for a process that exited by itself."""
        assert self.process is not None
        code = self.process.wait()
        self._stop()
        if code == -signal.SIGXCPU:
            return OutOfLimits(self._too_long)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return DecoderDied(f"not a readable video: the process that decoded it ended by {how}")

    def _unexpected(self) -> InvalidVideo:
        self._stop()
        return DecoderDied("not a readable video: the process that decoded it sent an unexpected message")

    @property
    def _too_long(self) -> str:
        return f"decoding the video takes more than the {self.limits.seconds:g} seconds of CPU time allowed"

    @property
    def _too_much_memory(self) -> str:
        return f"decoding the video takes more than the {self.limits.memory_bytes / MEBIBYTE:,.0f} MiB allowed"

    def _stop(self) -> None:
        process, self.process = self.process, None
        self._served = 0
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        process.wait()


def environment() -> dict[str, str]:
    """The child's environment: where its libraries are, and none of this process's secrets."""
    packages = [str(Path(cinemo_core.__file__).parent.parent), *(path for path in sys.path if path)]
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**kept, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(packages), "PYTHONDONTWRITEBYTECODE": "1"}


def memory_file() -> int:
    """Descriptor of an anonymous file, in memory if the system supports it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("video")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@contextmanager
def decoder_of(
    path: str | Path, limits: MediaLimits = DEFAULT_LIMITS, check: Callable[[], None] = never_stop
) -> Iterator[Decoder]:
    """A decoder for one file, of any size.

    Raises:
        InvalidVideo: there is no such file, or it is a folder, a pipe or a device.
    """
    try:
        # Opening a pipe would otherwise block until it has a writer.
        source = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise InvalidVideo(f"not a readable video: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise InvalidVideo("not a readable video: not a regular file")
        with Decoder(limits, check, source) as decoder:
            yield decoder
    finally:
        os.close(source)
