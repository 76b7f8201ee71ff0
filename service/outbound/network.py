"""The network as calls on behalf of clients see it: permitted addresses alone, and one deadline over everything.

A name is resolved once, at the moment of connecting, and the connection goes to the very address that was judged. So a
name whose answers change between two looks gains nothing.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address
from threading import Thread
from typing import Any, TypeAlias

import httpcore

from service.contract.problems import UrlForbidden
from service.outbound.addresses import Address, Network, is_permitted, parse_address

Resolver: TypeAlias = Callable[[str, int], Iterable[str]]
"""The IP addresses of a host, given a port; raises `OSError` where there are none."""


def system_resolver(host: str, port: int) -> list[str]:
    """What the system answers, in the system's order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(socket_address[0]) for *_, socket_address in found]


class Deadline:
    """A moment after which nothing waits any more."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds, more than 0.

        Raises:
            TimeoutError: it has passed.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("it took too long")
        return seconds


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects to permitted addresses, until a deadline. The timeouts that httpcore gives are of single steps."""

    def __init__(self, allowed: Sequence[Network], resolve: Resolver, deadline: Deadline) -> None:
        self._allowed, self._resolve, self._deadline = allowed, resolve, deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first permitted address that answers.

        Raises:
            UrlForbidden: the host has none that is permitted.
            OSError: none answers, or the host is not known.
        """
        permitted = [each for each in self._addresses(host, port) if is_permitted(each, self._allowed)]
        if not permitted:
            raise UrlForbidden(f"{host} has no address that may be called")
        failure: OSError | None = None
        for number, address in enumerate(permitted):
            try:
                seconds = self._deadline.remaining() / (len(permitted) - number)
                return GuardedStream(socket.create_connection((str(address), port), seconds), self._deadline)
            except OSError as error:
                failure = error
        assert failure is not None
        raise failure

    def _addresses(self, host: str, port: int) -> list[Address]:
        """Looked up in a thread of its own, since the system's resolver cannot be told when to give up."""
        literal = parse_address(host)
        if literal is not None:
            return [literal]
        answer: Future[list[Address]] = Future()

        def look_up() -> None:
            try:
                answer.set_result([ip_address(each) for each in self._resolve(host, port)])
            except Exception as error:
                answer.set_exception(error)

        Thread(target=look_up, name="look-up", daemon=True).start()
        return answer.result(self._deadline.remaining())


class GuardedStream(httpcore.NetworkStream):
    """A connection on which every step gets what is left until the deadline."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection, self._deadline = connection, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._connection.settimeout(self._deadline.remaining())
        return self._connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            while buffer:
                self._connection.settimeout(self._deadline.remaining())
                buffer = buffer[self._connection.send(buffer) :]
        except OSError as error:
            # By this name httpcore still reads what a server says that answers before it has heard everything.
            raise httpcore.WriteError(str(error)) from error

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._connection.settimeout(self._deadline.remaining())
        try:
            secured = ssl_context.wrap_socket(self._connection, server_hostname=server_hostname)
        except OSError:
            self._connection.close()
            raise
        return GuardedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return None

    def close(self) -> None:
        self._connection.close()
