"""A simulated internet on this machine: a DNS server, and TCP servers with any behaviour.

127.0.0.2 is allowed and stands for the internet; 127.0.0.1 is not, and stands for what must never be reached.
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread

from dnslib import AAAA, QTYPE, RR, A, DNSRecord

INTERNET, INSIDE = "127.0.0.2", "127.0.0.1"
Behaviour = Callable[[socket.socket], None]


@dataclass
class Names:
    """A DNS server: for each name one set of addresses after another, the last one forever."""

    answers: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def resolve(self, request: DNSRecord, handler: object) -> DNSRecord:
        """Answer dnslib's server."""
        name = str(request.q.qname).rstrip(".")
        self.asked.append(name)
        left = self.answers[name]
        reply = request.reply()
        for address in left.pop(0) if len(left) > 1 else left[0]:
            rdata, kind = (AAAA(address), QTYPE.AAAA) if ":" in address else (A(address), QTYPE.A)
            reply.add_answer(RR(name, kind, rdata=rdata, ttl=0))
        return reply

    def look_up(self, host: str, port: int) -> list[str]:
        """The resolver under test: over UDP, without cache."""
        reply = DNSRecord.parse(DNSRecord.question(host).send("127.0.0.1", self.port, timeout=5))
        return [str(record.rdata) for record in reply.rr]


@dataclass
class Server:
    """A TCP server that does one thing to every connection, after reading the request's head."""

    port: int
    heads: list[bytes] = field(default_factory=list)


@contextmanager
def serving(
    behaviour: Behaviour, host: str = INTERNET, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    listener = socket.create_server((host, port))
    server = Server(listener.getsockname()[1])

    def converse(connection: socket.socket) -> None:
        try:
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
                    head += more
                server.heads.append(head)
                behaviour(connection)
        except OSError:
            pass  # The client has hung up, which is what most tests are about.

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            Thread(target=converse, args=(connection,), daemon=True).start()

    thread = Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def saying(answer: bytes) -> Behaviour:
    return lambda connection: connection.sendall(answer)
