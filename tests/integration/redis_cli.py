"""Stands in for the part of redis-cli that docs/operations.md uses, if none is installed."""

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import redis


def main() -> None:
    """Run `-u URL --rdb FILE`, or `-u URL` and a command, whose response is printed."""
    _, option, url, *command = sys.argv
    assert option == "-u"
    if command[0] == "--rdb":
        copy(url, Path(command[1]))
    else:
        print(answer(url, command))


def answer(url: str, command: list[str]) -> str:
    """The server's response or error, which redis-cli only prints, too."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        # They make True of PONG.
        client.response_callbacks.clear()
        try:
            return str(client.execute_command(*command))
        except redis.RedisError as error:
            return str(error)


def copy(url: str, file: Path) -> None:
    """Request all data like a replica, and save what follows: a line with the dump's length, and the dump."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as wire, wire.makefile("rb") as answer:
        wire.sendall(b"SYNC\r\n")
        # Until the dump is made, the server sends empty lines.
        length = int(next(line for line in answer if line.strip()).removeprefix(b"$"))
        file.write_bytes(answer.read(length))


if __name__ == "__main__":
    main()
