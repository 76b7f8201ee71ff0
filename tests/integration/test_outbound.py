"""Clients' URLs against a real DNS server and real, hostile HTTP servers."""

import datetime
import itertools
import socket
import ssl
import time
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dnslib.server import DNSServer

from service.contract.problems import UrlForbidden, UrlTooLarge, UrlUnreachable
from service.outbound.client import Outbound, Response
from tests.integration.internet import INSIDE, INTERNET, Behaviour, Names, saying, serving
from tests.systems import need_address


@pytest.fixture(scope="module")
def name_server() -> Iterator[Names]:
    names = Names()
    server = DNSServer(names, address="127.0.0.1", port=0)
    names.port = server.server.server_address[1]
    server.start_thread()
    yield names
    server.stop()
    server.server.server_close()


@pytest.fixture
def names(name_server: Names) -> Names:
    """A DNS server without names."""
    need_address(INTERNET)
    name_server.answers.clear()
    name_server.asked.clear()
    return name_server


@pytest.fixture
def outbound(names: Names) -> Outbound:
    return Outbound([IPv4Network(f"{INTERNET}/32")], names.look_up)


PHOTO = saying(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 5\r\n\r\nphoto")


def get(outbound: Outbound, url: str, max_bytes: int = 1000, timeout_seconds: float = 10) -> Response:
    return outbound.get(url, max_bytes=max_bytes, timeout_seconds=timeout_seconds)


def test_a_picture_is_fetched_from_exactly_the_address_that_was_checked(outbound: Outbound, names: Names) -> None:
    names.answers["photos.test"] = [[INTERNET]]
    with serving(PHOTO) as server:
        answer = get(outbound, f"http://photos.test:{server.port}/a?b=c")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "image/png", b"photo")
    [head] = server.heads
    assert head.startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert f"host: photos.test:{server.port}\r\n".encode() in head.lower()
    assert b"accept-encoding: identity\r\n" in head.lower()
    assert names.asked == ["photos.test"], "a second look-up could answer something else"


def test_a_name_that_resolves_to_a_public_then_a_private_address_is_safe(outbound: Outbound, names: Names) -> None:
    names.answers["rebinding.test"] = [[INTERNET], [INSIDE]]
    with serving(PHOTO) as server, serving(PHOTO, INSIDE, server.port) as inside:
        url = f"http://rebinding.test:{server.port}/"
        outbound.check(url)
        assert get(outbound, url).body == b"photo"
        with pytest.raises(UrlForbidden):
            get(outbound, url)
    assert inside.heads == []


def test_only_the_permitted_addresses_of_a_name_are_tried(outbound: Outbound, names: Names) -> None:
    names.answers["mixed.test"] = [[INSIDE, "::1", "::ffff:7f00:1", "169.254.169.254", INTERNET]]
    with serving(PHOTO) as server, serving(PHOTO, INSIDE, server.port) as inside:
        assert get(outbound, f"http://mixed.test:{server.port}/").body == b"photo"
    assert inside.heads == []


def test_an_unresponsive_address_leaves_time_for_the_next(names: Names) -> None:
    names.answers["half.test"] = [["127.0.0.3", INTERNET]]
    with serving(PHOTO) as server:
        outbound = Outbound([IPv4Network("127.0.0.0/8")], names.look_up)
        assert get(outbound, f"http://half.test:{server.port}/").body == b"photo"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["::1"], ["::ffff:7f00:1"], ["64:ff9b::7f00:1"], ["2002:7f00:1::1"], ["10.0.0.1"]]
)
def test_a_name_with_only_forbidden_addresses_is_rejected(
    outbound: Outbound, names: Names, addresses: list[str]
) -> None:
    names.answers["inside.test"] = [addresses]
    with serving(PHOTO, INSIDE) as inside, pytest.raises(UrlForbidden):
        get(outbound, f"http://inside.test:{inside.port}/")
    assert inside.heads == []


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost"])
def test_no_spelling_of_a_loopback_address_is_called(host: str) -> None:
    outbound = Outbound([IPv4Network(f"{INTERNET}/32")])
    with serving(PHOTO, INSIDE) as inside:
        for call in (
            lambda: get(outbound, f"http://{host}:{inside.port}/"),
            lambda: outbound.post(
                f"http://{host}:{inside.port}/", body=b"{}", headers={}, timeout_seconds=10, max_bytes=10
            ),
        ):
            with pytest.raises(UrlForbidden):
                call()
    assert inside.heads == []


def test_a_redirect_to_the_metadata_service_is_not_followed(outbound: Outbound) -> None:
    redirect = saying(
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\nContent-Length: 0\r\n\r\n"
    )
    with serving(redirect) as server:
        url = f"http://{INTERNET}:{server.port}/"
        with pytest.raises(UrlUnreachable, match="302"):
            get(outbound, url)
        answer = outbound.post(url, body=b"{}", headers={"X-Own": "1"}, timeout_seconds=10, max_bytes=10)
    assert (answer.status, answer.headers["location"]) == (302, "http://169.254.169.254/latest/meta-data/")
    assert b"x-own: 1\r\n" in server.heads[1].lower()


def test_proxies_in_the_environment_are_not_used(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(PHOTO) as server, serving(PHOTO, INSIDE) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{INSIDE}:{proxy.port}")
        assert get(outbound, f"http://{INTERNET}:{server.port}/").body == b"photo"
    assert proxy.heads == []


def drip(connection: socket.socket) -> None:
    """Send a byte now and then, each well before the timeout of a single read."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


def drip_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in itertools.count():
        connection.sendall(b"X-%d: x\r\n" % number)
        time.sleep(0.02)


@pytest.mark.parametrize("behaviour", [drip, drip_headers, lambda connection: connection.recv(1)])
def test_a_slow_or_silent_server_is_cut_off(outbound: Outbound, behaviour: Behaviour) -> None:
    with serving(behaviour) as server, pytest.raises(UrlUnreachable):
        get(outbound, f"http://{INTERNET}:{server.port}/", timeout_seconds=0.3)


def test_a_dns_lookup_that_never_ends_is_abandoned() -> None:
    ended = Event()

    def resolve(host: str, port: int) -> list[str]:
        ended.wait()
        return []

    with pytest.raises(UrlUnreachable, match="too long"):
        get(Outbound(resolve=resolve), "http://photos.test/", timeout_seconds=0.1)
    ended.set()


def test_a_tls_handshake_that_never_ends_is_cut_off(outbound: Outbound) -> None:
    with socket.create_server((INTERNET, 0)) as listener, pytest.raises(UrlUnreachable):
        get(outbound, f"https://{INTERNET}:{listener.getsockname()[1]}/", timeout_seconds=0.2)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(65536))


def endless_chunks(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")


@pytest.mark.parametrize(
    "behaviour",
    [endless, endless_chunks, saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000))],
)
def test_a_body_is_counted_as_it_arrives_and_cut_off(outbound: Outbound, behaviour: Behaviour) -> None:
    with serving(behaviour) as server:
        url = f"http://{INTERNET}:{server.port}/"
        with pytest.raises(UrlTooLarge):
            get(outbound, url, max_bytes=99_999)
        answer = outbound.post(url, body=b"{}", headers={}, timeout_seconds=10, max_bytes=10)
    assert (answer.status, answer.body) == (200, bytes(10))


def test_a_body_of_exactly_the_allowed_size_is_accepted(outbound: Outbound) -> None:
    with serving(PHOTO) as server:
        assert get(outbound, f"http://{INTERNET}:{server.port}/", max_bytes=5).body == b"photo"
        with pytest.raises(UrlTooLarge):
            get(outbound, f"http://{INTERNET}:{server.port}/", max_bytes=4)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nphoto",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nphoto",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nphoto",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
)
def test_invalid_responses_are_reported_as_an_error_of_the_url(outbound: Outbound, answer: bytes) -> None:
    with serving(saying(answer)) as server, pytest.raises(UrlUnreachable):
        get(outbound, f"http://{INTERNET}:{server.port}/")


def test_a_body_longer_than_declared_is_cut_at_its_declared_length(outbound: Outbound) -> None:
    with serving(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nphoto and more")) as server:
        assert get(outbound, f"http://{INTERNET}:{server.port}/").body == b"photo"


def test_headers_cannot_be_injected_into_a_call(outbound: Outbound) -> None:
    headers = {"X": "1\r\nHost: metadata"}
    with serving(PHOTO) as server:
        url = f"http://{INTERNET}:{server.port}/"
        with pytest.raises(UrlUnreachable):
            outbound.post(url, body=b"", headers=headers, timeout_seconds=10, max_bytes=10)
    assert all(b"metadata" not in head for head in server.heads)


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for a name and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{name}.pem"
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM) + secret)
    return file


def test_a_certificate_is_verified_against_the_name_not_the_address(
    names: Names, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.answers.update({"photos.test": [[INTERNET]], "other.test": [[INTERNET]]})
    file = certificate(tmp_path, "photos.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    outbound = Outbound([IPv4Network(f"{INTERNET}/32")], names.look_up)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(file)
    shown: list[str | None] = []
    tls.sni_callback = lambda connection, name, context: shown.append(name)
    with serving(PHOTO, tls=tls) as server:
        assert get(outbound, f"https://photos.test:{server.port}/").body == b"photo"
        with pytest.raises(UrlUnreachable, match=r"other\.test"):
            get(outbound, f"https://other.test:{server.port}/")
    assert shown == ["photos.test", "other.test"]
