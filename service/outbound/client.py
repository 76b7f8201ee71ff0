"""HTTP requests to client-supplied URLs, to fetch pictures and send webhooks.

Any port, but no redirects, no proxies from the environment, no connection reuse and no compressed responses.
`service.outbound.network` decides which addresses may be connected to.
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
MAX_ERROR_CHARACTERS = 200
HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?", re.ASCII)
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


@dataclass(frozen=True)
class Response:
    """A server's response; header names in lower case, the body as sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outbound:
    """Sends requests to client-supplied URLs; thread-safe.

    All methods raise `UrlForbidden` for a URL that is not permitted.
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
        """Validate the URL without using the network, so a name that resolves to a forbidden address passes."""
        self._parse(url)

    def get(self, url: str, *, max_bytes: int, timeout_seconds: float) -> Response:
        """Fetch a whole body; the timeout covers everything from the DNS lookup to the last byte.

        Raises:
            UrlUnreachable: no response in time, a status other than 2xx, or a compressed body.
            UrlTooLarge: the body is longer than `max_bytes`; the rest is not read.
        """
        response = self._exchange("GET", url, {}, None, max_bytes + 1, timeout_seconds)
        if not 200 <= response.status < 300:
            raise UrlUnreachable(f"the URL returned status {response.status}; redirects are not followed")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise UrlUnreachable("the URL returned a compressed body, which was not requested")
        if len(response.body) > max_bytes:
            raise UrlTooLarge(f"the URL returned more than {max_bytes:,} bytes")
        return response

    def post(
        self, url: str, *, body: bytes, headers: Mapping[str, str], timeout_seconds: float, max_bytes: int
    ) -> Response:
        """Send a body and return the response, whatever its status, with the first `max_bytes` of its body.

        Raises:
            UrlUnreachable: no response in time.
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
    ) -> Response:
        parsed = self._parse(url)
        target = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
        own = {"Host": parsed.netloc.decode(), "User-Agent": self._user_agent, "Accept-Encoding": "identity"}
        all_headers: list[tuple[str | bytes, str | bytes]] = [*{**headers, **own}.items()]
        network = GuardedNetwork(self._allowed, self._resolve, Deadline(timeout_seconds))
        try:
            with (
                httpcore.HTTPConnection(target.origin, self._tls, network_backend=network) as connection,
                connection.stream(method, target, headers=all_headers, content=body) as response,
            ):
                received = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                return Response(response.status, received, first_bytes(response.iter_stream(), max_bytes))
        except (OSError, UnicodeError, httpcore.NetworkError, httpcore.ProtocolError) as error:
            # UnicodeError: the resolver or TLS cannot encode the host name.
            host = parsed.raw_host.decode()
            raise UrlUnreachable(f"{host} cannot be reached: {str(error) or 'it took too long'}") from error

    def _parse(self, url: str) -> httpx.URL:
        if len(url) > MAX_URL_LENGTH:
            raise UrlForbidden(f"the URL is longer than {MAX_URL_LENGTH} characters")
        try:
            parsed = httpx.URL(url)
            # Decodes the host name, which raises for an invalid one such as `xn--a`.
            _ = parsed.host
        except (httpx.InvalidURL, UnicodeError) as error:
            raise UrlForbidden(f"the URL is not valid: {escape(str(error))}") from error
        if parsed.scheme not in ("http", "https"):
            raise UrlForbidden("the URL must start with http:// or https://")
        if parsed.port is not None and not 0 < parsed.port < 65536:
            raise UrlForbidden("the URL has an invalid port")
        if parsed.userinfo:
            raise UrlForbidden("the URL must not contain a user name or password")
        self._check_host(parsed.raw_host.decode())
        return parsed

    def _check_host(self, host: str) -> None:
        """Reject addresses in other notations, such as `0x7f.1`, which parsers interpret differently."""
        address = parse_address(host)
        if address is not None:
            if not is_permitted(address, self._allowed):
                raise UrlForbidden(f"the address {host} is not permitted")
        elif not HOST_NAME.fullmatch(host) or NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
            raise UrlForbidden("the URL has no valid host")


def escape(text: str) -> str:
    """An error message as ASCII, since it may quote unencodable characters of the URL."""
    return text[:MAX_ERROR_CHARACTERS].encode("ascii", "backslashreplace").decode()


def first_bytes(chunks: Iterable[bytes], count: int) -> bytes:
    """Read up to `count` bytes."""
    read = bytearray()
    for chunk in chunks:
        read += chunk
        if len(read) >= count:
            break
    return bytes(read[:count])


def open_outbound(settings: Settings) -> Outbound:
    """An `Outbound` with the settings' allowed networks and user agent."""
    return Outbound(settings.outbound_allowed_networks, user_agent=settings.outbound_user_agent)
