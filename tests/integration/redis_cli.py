"""Stands in for the part of redis-cli that docs/operations.md uses, if none is installed."""

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import redis


def main() -> None:
    """Carry out `-u URL --rdb FILE`, or `-u URL` and a command, whose answer is printed."""
    _, option, url, *command = sys.argv
    assert option == "-u"
    if command[0] == "--rdb":
        copy(url, Path(command[1]))
    else:
        print(answer(url, command))


def answer(url: str, command: list[str]) -> str:
    """What the server says, or why it says nothing: redis-cli, too, only prints that."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        # They make True of PONG.
        client.response_callbacks.clear()
        try:
            return str(client.execute_command(*command))
        except redis.RedisError as error:
            return str(error)


def copy(url: str, file: Path) -> None:
    """Ask for all data as a replica does, and keep what comes: a line with the length of the dump, and the dump."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as wire, wire.makefile("rb") as answer:
        wire.sendall(b"SYNC\r\n")
        # Until the dump is made, the server sends empty lines.
        length = int(next(line for line in answer if line.strip()).removeprefix(b"$"))
        file.write_bytes(answer.read(length))


if __name__ == "__main__":
    main()
