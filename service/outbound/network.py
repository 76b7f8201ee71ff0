"""A network backend for client-supplied URLs: only permitted addresses, and one deadline for the whole exchange.

A name is resolved once per connection, which goes to exactly the address that was checked, so DNS rebinding fails.
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
"""Returns the IP addresses of a host and port; raises `OSError` if there are none."""


def system_resolver(host: str, port: int) -> list[str]:
    """The addresses from the system's resolver, in its order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(socket_address[0]) for *_, socket_address in found]


class Deadline:
    """A time limit shared by all steps of an exchange."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Remaining seconds, more than 0.

        Raises:
            TimeoutError: the deadline has passed.
        """
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("it took too long")
        return seconds


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects only to permitted addresses, within a deadline; httpcore's timeouts, for single steps, are ignored."""

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
        """Connect to the first permitted address that accepts.

        Raises:
            UrlForbidden: the host has no permitted address.
            OSError: no address accepts, or the host cannot be resolved.
        """
        permitted = [each for each in self._addresses(host, port) if is_permitted(each, self._allowed)]
        if not permitted:
            raise UrlForbidden(f"{host} has no permitted address")
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
        """Resolve in a separate thread, since the system's resolver has no timeout."""
        literal = parse_address(host)
        if literal is not None:
            return [literal]
        addresses: Future[list[Address]] = Future()

        def resolve() -> None:
            try:
                addresses.set_result([ip_address(each) for each in self._resolve(host, port)])
            except Exception as error:
                addresses.set_exception(error)

        Thread(target=resolve, name="dns-lookup", daemon=True).start()
        return addresses.result(self._deadline.remaining())


class GuardedStream(httpcore.NetworkStream):
    """A connection whose every step has the time remaining until the deadline."""

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
            # After a WriteError, httpcore still reads the response of a server that has stopped reading the request.
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
