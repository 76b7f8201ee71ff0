"""Forks processes from one that has loaded their libraries: `python -m tests.nursery FOLDER TITLE`.

Loading PyTorch takes longer than most of what tests do with a process. What is forked reads its settings and runs its
module as `python -m` does; only the libraries are there already. The command returns once the nursery takes orders, at
a socket in the folder; tests/forked.py sends them. The nursery ends with whoever holds the folder's pipe open.
"""

import ctypes
import gc
import io
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ADDRESS, HELD = "address", "held"
"""In the folder: the socket, and the pipe that says whether the nursery is still needed."""
TITLE = " " * 1024
"""Makes room for the command lines of what is forked, which replace the nursery's."""
ROOM = {"TESTS_ROOM": " " * 16 * 1024}
"""Makes room for their environments, in the nursery's own."""
NUMBER = struct.Struct("i")
"""What an order is answered with: the process' id and, when it has ended, its exit code."""
STREAMS = 3


@dataclass(frozen=True)
class Order:
    """A process to fork, as a line of JSON beside its standard streams."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    folder: str


def load() -> None:
    """Load the programs' libraries, none of which reads a setting: API, model library, training, Celery."""
    import boto3  # noqa: F401
    import celery.apps.worker
    import celery.fixups.django  # noqa: F401
    import tensorboardX  # noqa: F401
    import torch
    import torch.distributed.run
    import uvicorn.protocols.http.httptools_impl  # noqa: F401

    import cinemo_core
    import cinemo_core.training.commands
    import cinemo_core.training.loop
    import deploy.doctor.command  # noqa: F401
    import service.api.app
    import service.webhooks.send  # noqa: F401

    # They are loaded when they are first asked for, and load most of what they stand on.
    for name in cinemo_core.__all__:
        getattr(cinemo_core, name)
    # Neither threads nor what CUDA has begun would be there after a fork.
    assert threading.active_count() == len(os.listdir("/proc/self/task")) == 1
    assert not torch.cuda.is_initialized()


def main() -> None:
    """Load, continue in the background, and fork there until nobody needs it."""
    folder = Path(sys.argv[1])
    gc.disable()
    load()
    gc.freeze()  # else every fork would copy what it looks through for garbage
    gc.enable()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / ADDRESS))
    listener.listen()
    if os.fork():
        os._exit(0)
    become(*next_order(listener, os.open(folder / HELD, os.O_RDONLY | os.O_NONBLOCK)))


def next_order(listener: socket.socket, held: int) -> tuple[Order, list[int]]:
    """Fork for each order; returns in the child, with its standard streams."""
    # Not epoll, whose state a forked process would share.
    with listener, selectors.PollSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(held, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == held:
                    end(each.data[0] for each in selector.get_map().values() if each.data)
                elif key.fileobj is listener:
                    connection, _ = listener.accept()
                    order, streams = receive(connection)
                    child = os.fork()
                    if child == 0:
                        return order, streams
                    for stream in streams:
                        os.close(stream)
                    send_number(connection, child)
                    selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, connection))
                else:
                    child, connection = key.data
                    selector.unregister(key.fileobj)
                    os.close(key.fd)
                    _, status = os.waitpid(child, 0)
                    with connection:
                        send_number(connection, os.waitstatus_to_exitcode(status))


def receive(connection: socket.socket) -> tuple[Order, list[int]]:
    """An order and the standard streams that come with it."""
    _, streams, _, _ = socket.recv_fds(connection, 1, STREAMS)
    with connection.makefile("rb") as lines:
        return Order(**json.loads(lines.readline())), streams


def send_number(connection: socket.socket, number: int) -> None:
    """Respond, if the requester still exists."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(NUMBER.pack(number))


def end(children: Iterable[int]) -> None:
    """Stop, with all children that nobody watches any more."""
    for child in children:
        os.kill(child, signal.SIGKILL)
    os._exit(0)


def become(order: Order, streams: list[int]) -> None:
    """Run a module like `python -m`, in its own session, with only its standard streams open."""
    from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler

    from tests.forked import Process

    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(STREAMS, os.sysconf("SC_OPEN_MAX"))
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    sys.path[0] = order.folder
    sys.argv = ["-m", *order.arguments]
    for output in (sys.stdout, sys.stderr):
        assert isinstance(output, io.TextIOWrapper)
        output.reconfigure(write_through="PYTHONUNBUFFERED" in os.environ)
    command = [sys.executable, "-m", order.module, *order.arguments]
    show(command, [f"{name}={value}" for name, value in order.environment.items()])
    # What it starts itself is forked, too, where that makes no difference.
    for starter in (subprocess, subprocess_handler):
        vars(starter)["Popen"] = Process
    runpy.run_module(order.module, run_name="__main__", alter_sys=True)


def show(command: list[str], environment: list[str]) -> None:
    """Make the system list this process with its own command line and environment."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    # From 48 on of proc(5), of which the first two are the id and the name.
    replace(command, *map(int, fields[45:47]))
    replace(environment, *map(int, fields[47:49]))


def replace(words: list[str], begin: int, end: int) -> None:
    """Overwrite a place in this process's memory with words, each ended by a zero."""
    line = b"".join(os.fsencode(word) + b"\0" for word in words)
    assert len(line) <= end - begin, "more than the nursery has made room for"
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, line, len(line))


if __name__ == "__main__":
    main()
