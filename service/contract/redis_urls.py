"""Parses Redis URLs, for all connections: job records, event streams, and both ends of the queue.

| URL | connects to |
| --- | --- |
| `redis://user:password@host:6379/0` | one server |
| `unix://user:password@/run/redis.sock?db=0` | one server, over a Unix socket |
| `redis+sentinel://user:password@host:26379,host:26379/primary/0` | the primary that Sentinel knows by this name |
| `redis+cluster://user:password@host:6379,host:6379` | a cluster; all of the service's keys are in one slot |

`rediss://` and `rediss+…` use TLS. The query can contain options of redis-py, such as `db` and `ssl_ca_certs`.
Sentinels have their own `sentinel_username` and `sentinel_password`, and use TLS with `sentinel_tls=yes`. Errors never
quote what may be a part of a password.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from redis.connection import parse_url

SENTINEL_PORT, SERVER_PORT = 26379, 6379
LOGIN = ("username", "password")
TLS = frozenset(
    f"ssl_{name}"
    for name in (
        *("ca_certs", "ca_path", "ca_data", "certfile", "keyfile", "password"),
        *("cert_reqs", "check_hostname", "min_version"),
    )
)
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TIMEOUTS = frozenset({"socket_timeout", "socket_connect_timeout", "health_check_interval"})
OPTIONS = frozenset({"db", "client_name", "max_connections", "protocol", *LOGIN, *TLS, *TIMEOUTS})
SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password", "sentinel_tls"})
YES, NO = ("yes", "true", "1", "on"), ("no", "false", "0", "off")
CERT_REQS = ("none", "optional", "required")
TLS_VERSIONS = {
    name: version
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    for name in (version.name.lower(), version.name.lower().replace("_", "."), str(version.value))
}
ESCAPE = "write special characters of a password as %XX, such as / as %2F"
NOT_A_URL = f"it is not a valid URL; {ESCAPE}"

Kind = Literal["server", "socket", "sentinel", "cluster"]


@dataclass(frozen=True)
class RedisAddress:
    """A parsed Redis URL.

    Attributes:
        kind: how Redis is run.
        hosts: the server, the sentinels or some nodes of the cluster; empty for a socket.
        path: of the socket.
        primary: its name in Sentinel.
        db: database number.
        options: redis-py's options for connections to Redis, such as `username`, `password` and timeouts.
        tls: redis-py's `ssl_…` options; None without TLS.
        sentinel: redis-py's options for connections to sentinels.
    """

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    primary: str = ""
    db: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    tls: Mapping[str, Any] | None = None
    sentinel: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missing_files(self) -> list[str]:
        """Files named by the options for TLS that don't exist."""
        named = {name: str((self.tls or {}).get(name, "")) for name in TLS_FILES}
        return [f"{name}: there is no file {path}" for name, path in named.items() if path and not Path(path).is_file()]

    @property
    def connection_options(self) -> dict[str, Any]:
        """All options of a connection except the database, which a cluster doesn't have."""
        return {**self.options, **(tls_options(self.tls) if self.tls is not None else {})}


def parse(redis_url: str) -> RedisAddress:
    """Parse a URL; raises `ValueError` if it is not a Redis URL."""
    parts = split_url(redis_url)
    tls, kind, login, hosts = *parse_scheme(parts.scheme), *parts.netloc.rpartition("@")[::2]
    if kind != "socket" and "@" in parts.path:
        raise ValueError(NOT_A_URL)
    sentinel_query, query = split_query(parts.query, kind)
    choices = take_tls_choices(query)
    primary, _, db = parts.path.strip("/").partition("/") if kind == "sentinel" else ("", "", parts.path.strip("/"))
    # redis-py parses the rest; for that, any host will do.
    options: dict[str, Any] = parse_url(  # type: ignore[no-untyped-call]
        f"redis://{login}{'@' if login else ''}host?{urlencode(query)}"
    )
    del options["host"]
    if unknown := sorted(set(options) - OPTIONS):
        raise ValueError(f"unknown option {', '.join(unknown)}; a Redis URL can have {', '.join(sorted(OPTIONS))}")
    if options.get("protocol", 2) != 2:
        raise ValueError("protocol: must be 2")
    tls_query = {**{name: options.pop(name) for name in TLS & set(options)}, **choices}
    if tls_query and not tls:
        raise ValueError(f"{', '.join(sorted(tls_query))}: only allowed with TLS, rediss://")
    number = options.pop("db", None)
    if kind == "socket":
        if hosts or not parts.path.strip("/"):
            raise ValueError("a socket's URL is unix:///path, with three slashes")
        return RedisAddress("socket", path=unquote(parts.path), db=number or 0, options=options)
    if kind == "sentinel" and not primary:
        raise ValueError("a Sentinel URL needs the primary's name as its path")
    if db and not db.isdecimal():
        raise ValueError(f"{db!r} is not a database number")
    db_number = int(number if number is not None else db or 0)
    if kind == "cluster" and db_number:
        raise ValueError("a Redis cluster has no databases but 0")
    default_port = SENTINEL_PORT if kind == "sentinel" else SERVER_PORT
    addresses = tuple(host_and_port(each, default_port) for each in hosts.split(","))
    if kind == "server" and len(addresses) > 1:
        raise ValueError("several hosts are only allowed with redis+sentinel:// and redis+cluster://")
    secure = {"ssl_cert_reqs": "required", **tls_query} if tls else None
    return RedisAddress(
        kind,
        addresses,
        primary=unquote(primary),
        db=db_number,
        options=options,
        tls=secure,
        sentinel=sentinel_options(sentinel_query, secure),
    )


def parse_broker(redis_url: str) -> RedisAddress:
    """Parse the URL of Celery's Redis.

    Raises:
        ValueError: it is not a Redis URL, or a cluster, which Celery's transport doesn't support.
    """
    address = parse(redis_url)
    if address.kind == "cluster":
        raise ValueError("Celery cannot use a Redis cluster; set CINEMO_BROKER_URL to a single Redis or to Sentinel")
    return address


def split_url(redis_url: str) -> SplitResult:
    """Split a URL; raises `ValueError` also if it has a fragment, with which an unescaped password ends."""
    try:
        parts = urlsplit(redis_url)
    except ValueError:
        raise ValueError(NOT_A_URL) from None
    if parts.fragment:
        raise ValueError(NOT_A_URL)
    return parts


def parse_scheme(scheme: str) -> tuple[bool, Kind]:
    """Return whether a scheme uses TLS, and how Redis is run."""
    if scheme == "unix":
        return False, "socket"
    outer, plus, kind = scheme.partition("+")
    if outer not in ("redis", "rediss") or (plus and kind not in ("sentinel", "cluster")):
        raise ValueError(f"{scheme}:// is not one of redis, rediss, unix, redis+sentinel, redis+cluster")
    return outer == "rediss", cast(Kind, kind or "server")


def split_query(query: str, kind: Kind) -> tuple[dict[str, str], dict[str, str]]:
    """Split a query into the options for sentinels and those for Redis."""
    options = dict(parse_qsl(query, keep_blank_values=True))
    if any("@" in name for name in options):
        raise ValueError(NOT_A_URL)
    for_sentinels = {name: options.pop(name) for name in SENTINEL_OPTIONS & set(options)}
    if for_sentinels and kind != "sentinel":
        raise ValueError(f"{', '.join(sorted(for_sentinels))}: only allowed with redis+sentinel://")
    return for_sentinels, options


def take_tls_choices(query: dict[str, str]) -> dict[str, Any]:
    """Remove the options of which only some values are valid, and return those for redis-py.

    As other clients write them, too: `CERT_NONE` for `none`, and a version by its name.
    """
    choices: dict[str, Any] = {}
    if (given := query.pop("ssl_cert_reqs", None)) is not None:
        choices["ssl_cert_reqs"] = given.lower().removeprefix("cert_")
        if choices["ssl_cert_reqs"] not in CERT_REQS:
            raise ValueError(f"ssl_cert_reqs: must be one of {', '.join(CERT_REQS)}")
    if (given := query.pop("ssl_min_version", None)) is not None:
        choices["ssl_min_version"] = TLS_VERSIONS.get(given.lower())
        if choices["ssl_min_version"] is None:
            raise ValueError("ssl_min_version: must be TLSv1.2 or TLSv1.3")
    return choices


def sentinel_options(query: Mapping[str, str], tls: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return redis-py's options for connections to sentinels; with TLS, they use the same `ssl_…` options as Redis."""
    login: dict[str, Any] = {name: query[f"sentinel_{name}"] for name in LOGIN if f"sentinel_{name}" in query}
    choice = query.get("sentinel_tls", "no").lower()
    if choice in NO:
        return login
    if choice not in YES:
        raise ValueError("sentinel_tls: must be yes or no")
    if tls is None:
        raise ValueError("sentinel_tls: only allowed with rediss+sentinel://")
    return {**login, **tls_options(tls)}


def tls_options(tls: Mapping[str, Any]) -> dict[str, Any]:
    return {"ssl": True, **tls}


def host_and_port(text: str, default_port: int) -> tuple[str, int]:
    """Parse `host:port`, `host` or `[v6]:port`."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(NOT_A_URL) from None
    if not host:
        raise ValueError(f"a host is missing; {ESCAPE}")
    return host, port or default_port
