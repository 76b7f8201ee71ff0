"""Connections to Redis, however it is run: one server, a primary that Sentinel names, or a cluster.

| URL | what |
| --- | --- |
| `redis://user:password@host:6379/0`, `rediss://…`, `unix://…` | one server |
| `redis+sentinel://user:password@host:26379,host:26379/primary/0` | the primary that the sentinels know by this name |
| `redis+cluster://user:password@host:6379,host:6379` | a cluster; all keys of the service are in one slot of it |

`rediss+…` is the same over TLS.
"""

from dataclasses import dataclass
from typing import Any, Literal, cast
from urllib.parse import unquote, urlsplit

import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import ExponentialBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry
from redis.sentinel import Sentinel

from service.circuit import Circuit, Guard
from service.errors import RedisUnsafe

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 10.0
IDLE_SECONDS = 10
"""After which a link to the broker is looked at before it is used."""
SENTINEL_PORT, SERVER_PORT = 26379, 6379


@dataclass(frozen=True)
class Place:
    """What a URL with several hosts says."""

    kind: Literal["sentinel", "cluster"]
    hosts: tuple[tuple[str, int], ...]
    primary: str
    options: dict[str, Any]
    """Of each connection: `username`, `password`, `ssl`, and `db` where there are several."""


class GuardedRedis(Guard, redis.Redis):
    """One server, asked through a circuit."""


class GuardedCluster(Guard, redis.RedisCluster):
    """A cluster, asked through a circuit."""


def connect_briefly(redis_url: str, seconds: float, circuit: Circuit) -> redis.Redis:
    """A client for requests, which wait no longer than so: what is silent is not asked again, and opens the circuit.

    Raises:
        ValueError: it is no URL of Redis.
    """
    times = brief(seconds)
    # A kept connection may have been closed meanwhile; what was silent once is not waited for again.
    retry = Retry(ExponentialBackoff(cap=0.2, base=0.05), retries=2, supported_errors=(redis.ConnectionError,))
    place = parse(redis_url)
    client: Any
    if place is None:
        client = GuardedRedis.from_url(redis_url, retry=retry, **times)
    elif place.kind == "sentinel":
        sentinels: Any = Sentinel(place.hosts, sentinel_kwargs=times)  # type: ignore[no-untyped-call]
        client = sentinels.master_for(place.primary, GuardedRedis, retry=retry, **times, **place.options)
    else:
        nodes = [ClusterNode(host, port) for host, port in place.hosts]  # type: ignore[no-untyped-call]
        once = Retry(ExponentialBackoff(cap=0.2, base=0.05), retries=1)
        client = GuardedCluster(startup_nodes=nodes, retry=once, **times, **place.options)
    client.circuit = circuit
    return cast(redis.Redis, client)


def brief(seconds: float) -> dict[str, Any]:
    """Timeouts by which connecting and being answered take no longer together."""
    return {"socket_connect_timeout": seconds / 4, "socket_timeout": seconds * 3 / 4}


def connect(redis_url: str) -> redis.Redis:
    """A client that retries a broken connection twice at once, and gives up within seconds where Redis is gone.

    Raises:
        ValueError: it is no URL of Redis.
    """
    times: dict[str, Any] = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS}
    retry = Retry(ExponentialBackoff(cap=0.2, base=0.05), retries=2)
    place = parse(redis_url)
    if place is None:
        return redis.Redis.from_url(redis_url, retry=retry, **times)
    if place.kind == "sentinel":
        sentinels: Any = Sentinel(place.hosts, sentinel_kwargs=times)  # type: ignore[no-untyped-call]
        return cast(redis.Redis, sentinels.master_for(place.primary, retry=retry, **times, **place.options))
    nodes = [ClusterNode(host, port) for host, port in place.hosts]  # type: ignore[no-untyped-call]
    # A cluster's client has the same commands, but is no subclass.
    return cast(redis.Redis, redis.RedisCluster(startup_nodes=nodes, **times, **place.options))


def connect_async(redis_url: str) -> Any:
    """A client whose reads may block for as long as nothing happens; raises as `connect`."""
    times: dict[str, Any] = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": None}
    place = parse(redis_url)
    if place is None:
        return redis.asyncio.Redis.from_url(redis_url, **times)
    if place.kind == "sentinel":
        patience = {"socket_timeout": CONNECT_SECONDS}
        sentinels: Any = AsyncSentinel(place.hosts, sentinel_kwargs=patience)  # type: ignore[no-untyped-call]
        return sentinels.master_for(place.primary, **times, **place.options)
    nodes = [AsyncClusterNode(host, port) for host, port in place.hosts]
    return redis.asyncio.RedisCluster(startup_nodes=nodes, **times, **place.options)


def broker(
    redis_url: str, connect_seconds: float | None = None, answer_seconds: float | None = None
) -> tuple[str, dict[str, Any]]:
    """The URL and transport options by which Celery reaches the same Redis, on whichever side of the queue.

    A link that fell silent is noticed, where it would else be waited for until the kernel gives up.

    Raises:
        ValueError: it is a cluster, over which Celery's transport does not work, or no URL of Redis.
    """
    place = parse(redis_url)
    link = {
        "socket_connect_timeout": connect_seconds or CONNECT_SECONDS,
        "socket_timeout": answer_seconds or ANSWER_SECONDS,
        "socket_keepalive": True,
        "health_check_interval": IDLE_SECONDS,
    }
    if place is None:
        return redis_url, link
    if place.kind == "cluster":
        raise ValueError("Celery cannot use a Redis cluster; set CINEMO_BROKER_URL to a single Redis or to Sentinel")
    parts = urlsplit(redis_url)
    login = parts.netloc.rpartition("@")[0]
    login = f"{login}@" if login else ""
    db = place.options["db"]
    urls = ";".join(f"sentinel://{login}{host}:{port}/{db}" for host, port in place.hosts)
    return urls, {**link, "master_name": place.primary}


def parse(redis_url: str) -> Place | None:
    """What a URL of several hosts says; None for a URL of one server."""
    parts = urlsplit(redis_url)
    if parts.scheme in ("redis", "rediss", "unix"):
        return None
    scheme, _, kind = parts.scheme.partition("+")
    if scheme not in ("redis", "rediss") or kind not in ("sentinel", "cluster"):
        raise ValueError(f"{parts.scheme}:// is none of redis, rediss, unix, redis+sentinel, redis+cluster")
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    options: dict[str, Any] = {"ssl": scheme == "rediss"}
    if username:
        options["username"] = unquote(username)
    if password:
        options["password"] = unquote(password)
    primary, _, db = parts.path.strip("/").partition("/")
    if kind == "sentinel":
        if not primary:
            raise ValueError("a URL of Sentinel needs the primary's name as its path")
        options["db"] = int(db or 0)
    default_port = SENTINEL_PORT if kind == "sentinel" else SERVER_PORT
    found = tuple(host_and_port(each, default_port) for each in hosts.split(","))
    return Place("sentinel" if kind == "sentinel" else "cluster", found, primary, options)


def host_and_port(text: str, default_port: int) -> tuple[str, int]:
    """`host:port`, `host`, or `[v6]:port`."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError(f"{text!r} is no host")
    return parts.hostname, parts.port or default_port


def require_durable(client: redis.Redis) -> None:
    """Ask Redis, by INFO, whether it keeps what it is told.

    Raises:
        RedisUnsafe: it keeps nothing on its disk, or drops keys when its memory is full.
        redis.RedisError: it does not answer.
    """
    persistence, memory = section(client, "persistence"), section(client, "memory")
    if not persistence.get("aof_enabled"):
        raise RedisUnsafe("Redis keeps no append-only file, so a restart loses jobs; set `appendonly yes`")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise RedisUnsafe(f"Redis drops keys when its memory is full ({policy}); set `maxmemory-policy noeviction`")


def section(client: redis.Redis, name: str) -> dict[str, Any]:
    """A section of INFO; of a cluster, its first node's."""
    found: Any = client.info(name)
    first = next(iter(found.values()), None)
    return first if isinstance(first, dict) else found
