"""Forks processes from one that has loaded their libraries: `python -m tests.nursery FOLDER KIND TITLE`.

Loading PyTorch takes longer than most of what tests do with a process. What is forked reads its settings and runs its
module as `python -m` does; only the libraries are there already. The command returns once the nursery takes orders, at
a socket in the folder named after its kind; tests/forked.py sends them. The nursery ends with whoever holds the
folder's pipe open.
"""

import ctypes
import fcntl
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
from itertools import pairwise
from pathlib import Path

HELD = "held"
"""In the folder: the pipe that says whether the nursery is still needed."""
PROGRAMS, DECODERS = "programs", "decoders"
"""The kinds of nurseries: a decoder's memory limit counts from what is loaded, so its nursery loads nothing else."""
TITLE = " " * 1024
"""Makes room for the command lines of what is forked, which replace the nursery's."""
ROOM = {"TESTS_ROOM": " " * 16 * 1024}
"""Makes room for their environments, in the nursery's own."""
NUMBER = struct.Struct("i")
"""What an order is answered with: the process' id and, when it has ended, its exit code."""
STREAMS = 3
MOST_DESCRIPTORS = 8


@dataclass(frozen=True)
class Order:
    """A process to fork, as a line of JSON beside its file descriptors."""

    command: list[str]
    environment: dict[str, str]
    folder: str
    numbers: list[int]
    """The numbers that its file descriptors get."""

    def module_and_arguments(self) -> tuple[str, list[str]]:
        """Split the command at `-m`."""
        at = self.command.index("-m") + 1
        return self.command[at], self.command[at + 1 :]


def load_programs() -> None:
    """Load the programs' libraries, none of which reads a setting: API, model library, training, Celery."""
    import boto3  # noqa: F401
    import celery.apps.worker
    import celery.fixups.django  # noqa: F401
    import tensorboardX  # noqa: F401
    import torch
    import torch.distributed.run
    import uvicorn.protocols.http.httptools_impl  # noqa: F401
    from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler

    import cinemo_core
    import cinemo_core.training.commands
    import cinemo_core.training.loop
    import deploy.doctor.command  # noqa: F401
    import service.api.app
    import service.webhooks.send  # noqa: F401
    from service.storage import S3Store

    # They are loaded when they are first asked for, and load most of what they stand on.
    for name in cinemo_core.__all__:
        getattr(cinemo_core, name)
    # Loads the descriptions that every client needs; with credentials, as it would look for some on the network.
    S3Store("any", region="any", access_key_id="any", secret_access_key="any")
    assert not torch.cuda.is_initialized()
    # Programs fork their own children, too, where that makes no difference.
    from tests.forked import Process

    for starter in (subprocess, subprocess_handler):
        vars(starter)["Popen"] = Process


def load_decoders() -> None:
    """Load the libraries of the process that decodes videos."""
    from cinemo_core.sandbox import child

    child.load_all()


LOADS = {PROGRAMS: load_programs, DECODERS: load_decoders}


def main() -> None:
    """Load, continue in the background, and fork there until nobody needs it."""
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    gc.disable()
    LOADS[kind]()
    gc.freeze()  # else every fork would copy what it looks through for garbage
    gc.enable()
    # Neither threads nor what CUDA has begun would be there after a fork.
    assert threading.active_count() == len(os.listdir("/proc/self/task")) == 1
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / kind))
    listener.listen()
    if os.fork():
        os._exit(0)
    become(*next_order(listener, os.open(folder / HELD, os.O_RDONLY | os.O_NONBLOCK)))


def next_order(listener: socket.socket, held: int) -> tuple[Order, list[int]]:
    """Fork for each order; returns in the child, with its file descriptors."""
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
                    order, descriptors = receive(connection)
                    child = os.fork()
                    if child == 0:
                        return order, descriptors
                    for descriptor in descriptors:
                        os.close(descriptor)
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
    """Return an order and the file descriptors sent with it."""
    _, descriptors, _, _ = socket.recv_fds(connection, 1, MOST_DESCRIPTORS)
    with connection.makefile("rb") as lines:
        return Order(**json.loads(lines.readline())), descriptors


def send_number(connection: socket.socket, number: int) -> None:
    """Respond, if the requester still exists."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(NUMBER.pack(number))


def end(children: Iterable[int]) -> None:
    """Stop, with all children that nobody watches any more."""
    for child in children:
        os.kill(child, signal.SIGKILL)
    os._exit(0)


def become(order: Order, descriptors: list[int]) -> None:
    """Run a module like `python -m`, in its own session, with only the order's file descriptors open."""
    os.setsid()
    place(descriptors, order.numbers)
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environment)
    sys.path[0] = order.folder
    module, arguments = order.module_and_arguments()
    sys.argv = ["-m", *arguments]
    for output in (sys.stdout, sys.stderr):
        assert isinstance(output, io.TextIOWrapper)
        output.reconfigure(write_through="PYTHONUNBUFFERED" in os.environ)
    show(order.command, [f"{name}={value}" for name, value in order.environment.items()])
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def place(descriptors: list[int], numbers: list[int]) -> None:
    """Give open file descriptors these numbers, and close all others."""
    # Moved aside first, because one may have the number that another needs.
    aside = [fcntl.fcntl(each, fcntl.F_DUPFD, max(numbers) + 1) for each in descriptors]
    for each, number in zip(aside, numbers, strict=True):
        os.dup2(each, number)
    for number, following in pairwise([*sorted(numbers), os.sysconf("SC_OPEN_MAX")]):
        os.closerange(number + 1, following)


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
