"""HTTP calls to URLs that clients name: pictures to fetch, webhooks to send.

No redirects, no proxies of the environment, no reuse of connections, no compressed answers; any port. What may be
connected to is `service.outbound.network`'s to say.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import httpcore
import httpx

from service.contract.problems import UrlForbidden, UrlTooLarge, UrlUnreachable
from service.contract.settings import Settings
from service.outbound.addresses import Network, is_permitted, parse_address
from service.outbound.network import Deadline, GuardedNetwork, Resolver, system_resolver

MAX_URL_LENGTH = 2048
MAX_ERROR = 200
HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?", re.ASCII)
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


@dataclass(frozen=True)
class Answer:
    """What a server said; names of headers in lower case, the body as it was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outbound:
    """Calls URLs of clients; may be shared between threads.

    All methods raise `UrlForbidden` for a URL that may not be called, whatever its server would answer.
    """

    def __init__(
        self,
        allowed_networks: Iterable[Network] = (),
        resolve: Resolver = system_resolver,
        user_agent: str = "Cinemo",
    ) -> None:
        self._user_agent = user_agent
        self._allowed = tuple(allowed_networks)
        self._resolve = resolve
        self._tls = httpx.create_ssl_context()

    def check(self, url: str) -> None:
        """Look at the URL's own form, without asking the network: a name that stands for a forbidden address passes."""
        self._parse(url)

    def get(self, url: str, *, max_bytes: int, timeout_seconds: float) -> Answer:
        """Fetch a whole body, within a time that counts from the look-up of the name to the body's last byte.

        Raises:
            UrlUnreachable: no answer in time, or one with another status than 2xx, or compressed.
            UrlTooLarge: the body is longer than `max_bytes`; no more than that of it is read.
        """
        answer = self._exchange("GET", url, {}, None, max_bytes + 1, timeout_seconds)
        if not 200 <= answer.status < 300:
            raise UrlUnreachable(f"the URL answers with status {answer.status}; redirects are not followed")
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise UrlUnreachable("the URL answers with a compressed body, which was not asked for")
        if len(answer.body) > max_bytes:
            raise UrlTooLarge(f"the URL answers with more than {max_bytes:,} bytes")
        return answer

    def post(
        self, url: str, *, body: bytes, headers: Mapping[str, str], timeout_seconds: float, max_bytes: int
    ) -> Answer:
        """Send a body and give back whatever is answered, a redirect too, with the first `max_bytes` of its body.

        Raises:
            UrlUnreachable: no answer in time.
        """
        return self._exchange("POST", url, headers, body, max_bytes, timeout_seconds)

    def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        max_bytes: int,
        timeout_seconds: float,
    ) -> Answer:
        parsed = self._parse(url)
        target = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
        own = {"Host": parsed.netloc.decode(), "User-Agent": self._user_agent, "Accept-Encoding": "identity"}
        sent: list[tuple[str | bytes, str | bytes]] = [*{**headers, **own}.items()]
        network = GuardedNetwork(self._allowed, self._resolve, Deadline(timeout_seconds))
        try:
            with (
                httpcore.HTTPConnection(target.origin, self._tls, network_backend=network) as connection,
                connection.stream(method, target, headers=sent, content=body) as response,
            ):
                names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                return Answer(response.status, names, first_bytes(response.iter_stream(), max_bytes))
        except (OSError, UnicodeError, httpcore.NetworkError, httpcore.ProtocolError) as error:
            # A name that the system's resolver or TLS cannot spell is one that nobody can be reached by.
            host = parsed.raw_host.decode()
            raise UrlUnreachable(f"{host} cannot be reached: {str(error) or 'it took too long'}") from error

    def _parse(self, url: str) -> httpx.URL:
        if len(url) > MAX_URL_LENGTH:
            raise UrlForbidden(f"the URL is longer than {MAX_URL_LENGTH} characters")
        try:
            parsed = httpx.URL(url)
            # The name in its own script: what stands for none (`xn--a`) no resolver would find.
            _ = parsed.host
        except (httpx.InvalidURL, UnicodeError) as error:
            raise UrlForbidden(f"the URL is not valid: {readable(str(error))}") from error
        if parsed.scheme not in ("http", "https"):
            raise UrlForbidden("the URL must begin with http:// or https://")
        if parsed.port is not None and not 0 < parsed.port < 65536:
            raise UrlForbidden("the URL names a port that does not exist")
        if parsed.userinfo:
            raise UrlForbidden("the URL must not hold a user name or password")
        self._check_host(parsed.raw_host.decode())
        return parsed

    def _check_host(self, host: str) -> None:
        """Take an address in its canonical spelling alone: nobody means well by `0x7f.1`, and parsers differ on it."""
        address = parse_address(host)
        if address is not None:
            if not is_permitted(address, self._allowed):
                raise UrlForbidden(f"{host} is an address that may not be called")
        elif not HOST_NAME.fullmatch(host) or NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            raise UrlForbidden("the URL names no valid host")


def readable(text: str) -> str:
    """What an error says of a URL that may hold what no text has, as text that can be sent."""
    return text[:MAX_ERROR].encode("ascii", "backslashreplace").decode()


def first_bytes(chunks: Iterable[bytes], count: int) -> bytes:
    """Read until there are so many, or no more."""
    read = bytearray()
    for chunk in chunks:
        read += chunk
        if len(read) >= count:
            break
    return bytes(read[:count])


def open_outbound(settings: Settings) -> Outbound:
    """Calls as the settings allow them."""
    return Outbound(settings.outbound_allowed_networks, user_agent=settings.outbound_user_agent)
