"""Parses Redis URLs, for all connections: job records, event streams, and both ends of the queue.

| URL | connects to |
| --- | --- |
| `redis://user:password@host:6379/0` | one server |
| `unix://user:password@/run/redis.sock?db=0` | one server, over a Unix socket |
| `redis+sentinel://user:password@host:26379,host:26379/primary/0` | the primary that Sentinel knows by this name |
| `redis+cluster://user:password@host:6379,host:6379` | a cluster; all of the service's keys are in one slot |

`rediss://` and `rediss+…` use TLS. The query can contain options of redis-py, such as `db` and `ssl_ca_certs`.
Sentinels have their own `sentinel_username` and `sentinel_password`, and use TLS with `sentinel_tls=yes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

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
TIMEOUTS = frozenset({"socket_timeout", "socket_connect_timeout", "health_check_interval"})
OPTIONS = frozenset({"db", "client_name", "max_connections", "protocol", *LOGIN, *TLS, *TIMEOUTS})
SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password", "sentinel_tls"})
YES = ("yes", "true", "1")

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
    def connection_options(self) -> dict[str, Any]:
        """All options of a connection except the database, which a cluster doesn't have."""
        return {**self.options, **(tls_options(self.tls) if self.tls is not None else {})}


def parse(redis_url: str) -> RedisAddress:
    """Parse a URL; raises `ValueError` if it is not a Redis URL."""
    parts = urlsplit(redis_url)
    tls, kind, login, hosts = *parse_scheme(parts.scheme), *parts.netloc.rpartition("@")[::2]
    sentinel_query, query = split_query(parts.query, kind)
    primary, _, db = parts.path.strip("/").partition("/") if kind == "sentinel" else ("", "", parts.path.strip("/"))
    # redis-py parses the rest; for that, any host will do.
    options: dict[str, Any] = parse_url(  # type: ignore[no-untyped-call]
        f"redis://{login}{'@' if login else ''}host?{urlencode(query)}"
    )
    del options["host"]
    if unknown := sorted(set(options) - OPTIONS):
        raise ValueError(f"unknown option {', '.join(unknown)}; a Redis URL can have {', '.join(sorted(OPTIONS))}")
    tls_query = {name: options.pop(name) for name in TLS & set(options)}
    if tls_query and not tls:
        raise ValueError(f"{', '.join(sorted(tls_query))}: only allowed with TLS, rediss://")
    number = options.pop("db", None)
    if kind == "socket":
        if hosts or not parts.path.strip("/"):
            raise ValueError("a socket's URL is unix:///path, with three slashes")
        return RedisAddress("socket", path=parts.path, db=number or 0, options=options)
    if kind == "sentinel" and not primary:
        raise ValueError("a Sentinel URL needs the primary's name as its path")
    if db and not db.isdecimal():
        raise ValueError(f"{db!r} is not a database number")
    secure = {"ssl_cert_reqs": "required", **tls_query} if tls else None
    return RedisAddress(
        kind,
        tuple(host_and_port(each, SENTINEL_PORT if kind == "sentinel" else SERVER_PORT) for each in hosts.split(",")),
        primary=primary,
        db=int(number if number is not None else db or 0),
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
    for_sentinels = {name: options.pop(name) for name in SENTINEL_OPTIONS & set(options)}
    if for_sentinels and kind != "sentinel":
        raise ValueError(f"{', '.join(sorted(for_sentinels))}: only allowed with redis+sentinel://")
    return for_sentinels, options


def sentinel_options(query: Mapping[str, str], tls: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return redis-py's options for connections to sentinels; with TLS, they use the same `ssl_…` options as Redis."""
    login: dict[str, Any] = {name: query[f"sentinel_{name}"] for name in LOGIN if f"sentinel_{name}" in query}
    if query.get("sentinel_tls", "no").lower() not in YES:
        return login
    if tls is None:
        raise ValueError("sentinel_tls: only allowed with rediss+sentinel://")
    return {**login, **tls_options(tls)}


def tls_options(tls: Mapping[str, Any]) -> dict[str, Any]:
    return {"ssl": True, **tls}


def host_and_port(text: str, default_port: int) -> tuple[str, int]:
    """Parse `host:port`, `host` or `[v6]:port`."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"{text!r} is not a host")
    return parts.hostname, parts.port or default_port
