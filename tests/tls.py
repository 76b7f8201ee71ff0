"""TLS for servers without it: a certificate, and a proxy that accepts both kinds of connections.

What is said in the clear is kept, so that a test sees who should not have.
"""

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CHUNK_BYTES = 64 * 1024
HANDSHAKE = b"\x16"


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1."""

    certificate: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Write a certificate that is valid for an hour into the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    files = Certificate(folder / "certificate.pem", folder / "key.pem")
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


class TlsProxy:
    """In front of a server without TLS: forwards TLS and plain connections, and records the plain text."""

    def __init__(self, upstream_port: int, certificate: Certificate) -> None:
        self._upstream_port = upstream_port
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(certificate.certificate, certificate.key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.in_the_clear = bytearray()
        self.secured = 0
        self._links: set[asyncio.Task[None]] = set()
        """The loop itself lets go of tasks that nobody else has."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        task = self._loop.create_task(self._accept())
        self._loop.run_forever()
        for each in (task, *self._links):
            each.cancel()
        self._loop.run_until_complete(asyncio.gather(task, *self._links, return_exceptions=True))
        self._loop.close()

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            link = self._loop.create_task(self._serve(client))
            self._links.add(link)
            link.add_done_callback(self._links.discard)

    async def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError):
            client.setblocking(True)
            first = await asyncio.to_thread(client.recv, 1, socket.MSG_PEEK)
            client.setblocking(False)
            secured = first == HANDSHAKE
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, client, ssl=self._tls if secured else None
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
            self.secured += secured
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._upstream_port)
            await asyncio.gather(
                self._pump(reader, to_server, keep=not secured), self._pump(from_server, writer, keep=False)
            )

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, keep: bool) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK_BYTES):
                if keep:
                    self.in_the_clear += data
                target.write(data)
                await target.drain()
        target.close()


@contextmanager
def tls_proxy(upstream_port: int, certificate: Certificate) -> Iterator[TlsProxy]:
    """A proxy that runs until the context exits."""
    proxy = TlsProxy(upstream_port, certificate)
    try:
        yield proxy
    finally:
        proxy.stop()
