"""URLs of Redis, read once for all who connect: job records, event streams, and both ends of the queue.

| URL | what |
| --- | --- |
| `redis://user:password@host:6379/0` | one server |
| `unix://user:password@/run/redis.sock?db=0` | one server, by a socket of its machine |
| `redis+sentinel://user:password@host:26379,host:26379/primary/0` | the primary that the sentinels know by this name |
| `redis+cluster://user:password@host:6379,host:6379` | a cluster; all keys of the service are in one slot of it |

`rediss://` and `rediss+…` are the same over TLS. What stands behind a `?` is of redis-py: `db`, `ssl_ca_certs` and the
like. The sentinels have `sentinel_username` and `sentinel_password` of their own, and TLS by `sentinel_tls=yes`.
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
TIMES = frozenset({"socket_timeout", "socket_connect_timeout", "health_check_interval"})
OPTIONS = frozenset({"db", "client_name", "max_connections", "protocol", *LOGIN, *TLS, *TIMES})
OF_SENTINELS = frozenset({"sentinel_username", "sentinel_password", "sentinel_tls"})
YES = ("yes", "true", "1")

Kind = Literal["server", "socket", "sentinel", "cluster"]


@dataclass(frozen=True)
class RedisAddress:
    """Where Redis is, and how it is spoken to.

    Attributes:
        kind: how it is run.
        hosts: of the server, the sentinels or some of the cluster's nodes; none of a socket.
        path: of a socket.
        primary: what the sentinels call it.
        db: number of the database.
        options: of each connection to it, as redis-py calls them: `username`, `password`, times.
        tls: likewise, `ssl_…`; None for connections that are not secured.
        sentinel: of each connection to a sentinel.
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
    def link(self) -> dict[str, Any]:
        """Options of a connection, secured or not; without the database, which a cluster has none of."""
        return {**self.options, **(secured(self.tls) if self.tls is not None else {})}


def parse(redis_url: str) -> RedisAddress:
    """What a URL says; raises `ValueError` where it is none of Redis."""
    parts = urlsplit(redis_url)
    tls, kind, login, hosts = *scheme_of(parts.scheme), *parts.netloc.rpartition("@")[::2]
    of_sentinels, others = split(parts.query, kind)
    primary, _, db = parts.path.strip("/").partition("/") if kind == "sentinel" else ("", "", parts.path.strip("/"))
    # One host is enough to have the rest read as redis-py reads it.
    options: dict[str, Any] = parse_url(  # type: ignore[no-untyped-call]
        f"redis://{login}{'@' if login else ''}host?{urlencode(others)}"
    )
    del options["host"]
    if unknown := sorted(set(options) - OPTIONS):
        raise ValueError(f"{', '.join(unknown)}: a URL of Redis knows {', '.join(sorted(OPTIONS))}")
    of_tls = {name: options.pop(name) for name in TLS & set(options)}
    if of_tls and not tls:
        raise ValueError(f"{', '.join(sorted(of_tls))}: only for TLS, which rediss:// asks for")
    number = options.pop("db", None)
    if kind == "socket":
        if hosts or not parts.path.strip("/"):
            raise ValueError("a URL of a socket is unix:///path, with three slashes")
        return RedisAddress("socket", path=parts.path, db=number or 0, options=options)
    if kind == "sentinel" and not primary:
        raise ValueError("a URL of Sentinel needs the primary's name as its path")
    if db and not db.isdecimal():
        raise ValueError(f"{db!r} is no number of a database")
    secure = {"ssl_cert_reqs": "required", **of_tls} if tls else None
    return RedisAddress(
        kind,
        tuple(host_and_port(each, SENTINEL_PORT if kind == "sentinel" else SERVER_PORT) for each in hosts.split(",")),
        primary=primary,
        db=int(number if number is not None else db or 0),
        options=options,
        tls=secure,
        sentinel=sentinel_link(of_sentinels, secure),
    )


def parse_broker(redis_url: str) -> RedisAddress:
    """What the URL of Celery's Redis says.

    Raises:
        ValueError: it is a cluster, over which Celery's transport does not work, or no URL of Redis.
    """
    address = parse(redis_url)
    if address.kind == "cluster":
        raise ValueError("Celery cannot use a Redis cluster; set CINEMO_BROKER_URL to a single Redis or to Sentinel")
    return address


def scheme_of(scheme: str) -> tuple[bool, Kind]:
    """Whether it is over TLS, and how Redis is run."""
    if scheme == "unix":
        return False, "socket"
    outer, plus, kind = scheme.partition("+")
    if outer not in ("redis", "rediss") or (plus and kind not in ("sentinel", "cluster")):
        raise ValueError(f"{scheme}:// is none of redis, rediss, unix, redis+sentinel, redis+cluster")
    return outer == "rediss", cast(Kind, kind or "server")


def split(query: str, kind: Kind) -> tuple[dict[str, str], dict[str, str]]:
    """What is said of the sentinels, and of Redis itself."""
    said = dict(parse_qsl(query, keep_blank_values=True))
    of_sentinels = {name: said.pop(name) for name in OF_SENTINELS & set(said)}
    if of_sentinels and kind != "sentinel":
        raise ValueError(f"{', '.join(sorted(of_sentinels))}: only for redis+sentinel://")
    return of_sentinels, said


def sentinel_link(said: Mapping[str, str], tls: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options of a connection to a sentinel, which is secured as those to Redis where it is."""
    link: dict[str, Any] = {name: said[f"sentinel_{name}"] for name in LOGIN if f"sentinel_{name}" in said}
    if said.get("sentinel_tls", "no").lower() not in YES:
        return link
    if tls is None:
        raise ValueError("sentinel_tls: only for rediss+sentinel://")
    return {**link, **secured(tls)}


def secured(tls: Mapping[str, Any]) -> dict[str, Any]:
    return {"ssl": True, **tls}


def host_and_port(text: str, default_port: int) -> tuple[str, int]:
    """`host:port`, `host`, or `[v6]:port`."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"{text!r} is no host")
    return parts.hostname, parts.port or default_port
