"""Connections to Redis, however it is run: one server, a primary that Sentinel names, or a cluster.

`service.contract.redis_urls` reads the URLs, for redis-py here and for Celery's transport alike.
"""

import socket
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import ExponentialBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry
from redis.sentinel import Sentinel

from service.contract.problems import RedisUnsafe
from service.contract.redis_urls import LOGIN, TIMEOUTS, RedisAddress, parse, parse_broker
from service.store.circuit import Circuit, Guard

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 10.0
IDLE_SECONDS = 10
"""After which a kept link is looked at before it is used."""
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Sooner than what stands between, as NATs do, forgets of an idle link; of those that this system knows."""
OF_TCP: dict[str, Any] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, name): seconds for name, seconds in KEEPALIVE.items() if hasattr(socket, name)
    },
}
RETRIES = 2


class GuardedRedis(Guard, redis.Redis):
    """One server, asked through a circuit."""


class GuardedCluster(Guard, redis.RedisCluster):
    """A cluster, asked through a circuit."""


@dataclass(frozen=True)
class Broker:
    """How Celery reaches the queue: `broker_url`, `broker_transport_options` and `broker_use_ssl` of its settings."""

    url: str
    options: dict[str, Any]
    tls: dict[str, Any] | None


def connect_briefly(redis_url: str, seconds: float, circuit: Circuit) -> redis.Redis:
    """A client for requests, which wait no longer than so: what is silent is not asked again, and opens the circuit.

    Raises:
        ValueError: it is no URL of Redis.
    """
    # A kept connection may have been closed meanwhile; what was silent once is not waited for again.
    retry = Retry(backoff(), retries=RETRIES, supported_errors=(redis.ConnectionError,))
    place = parse(redis_url)
    times = {**brief(seconds), **OF_TCP}
    client: Any
    if place.kind == "cluster":
        once = Retry(backoff(), retries=1)
        client = GuardedCluster(startup_nodes=nodes_of(place), retry=once, **{**times, **place.connection_options})
    else:
        client = client_of(place, GuardedRedis, times, retry)
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
    times = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS, **OF_TCP}
    place = parse(redis_url)
    if place.kind == "cluster":
        # A cluster's client has the same commands, but is no subclass.
        cluster: Any = redis.RedisCluster(startup_nodes=nodes_of(place), **{**times, **place.connection_options})
        return cast(redis.Redis, cluster)
    return client_of(place, redis.Redis, times, Retry(backoff(), retries=RETRIES))


def client_of(place: RedisAddress, kind: type[redis.Redis], times: dict[str, Any], retry: Retry) -> redis.Redis:
    """A client of one server, by whichever way it is found."""
    options = {**times, "retry": retry, "db": place.db, **place.connection_options}
    if place.kind == "socket":
        return kind(unix_socket_path=place.path, **options)
    if place.kind == "server":
        host, port = place.hosts[0]
        return kind(host=host, port=port, **options)
    sentinels: Any = Sentinel(place.hosts, sentinel_kwargs={**times, **place.sentinel})  # type: ignore[no-untyped-call]
    return cast(redis.Redis, sentinels.master_for(place.primary, kind, **options))


def connect_async(redis_url: str) -> Any:
    """A client whose reads may block for as long as nothing happens; raises as `connect`.

    A kept connection that was closed meanwhile is made anew, unseen.
    """
    times: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": None,
        "health_check_interval": IDLE_SECONDS,
        **OF_TCP,
    }
    retry = AsyncRetry(backoff(), retries=RETRIES, supported_errors=(redis.ConnectionError,))
    place = parse(redis_url)
    options = {**times, "retry": retry, "db": place.db, **place.connection_options}
    if place.kind == "socket":
        return redis.asyncio.Redis(unix_socket_path=place.path, **options)
    if place.kind == "server":
        host, port = place.hosts[0]
        return redis.asyncio.Redis(host=host, port=port, **options)
    if place.kind == "sentinel":
        patience = {"socket_timeout": CONNECT_SECONDS, "socket_connect_timeout": CONNECT_SECONDS, **place.sentinel}
        sentinels: Any = AsyncSentinel(place.hosts, sentinel_kwargs=patience)  # type: ignore[no-untyped-call]
        return sentinels.master_for(place.primary, **options)
    nodes = [AsyncClusterNode(host, port) for host, port in place.hosts]
    return redis.asyncio.RedisCluster(startup_nodes=nodes, **{**times, **place.connection_options})


def nodes_of(place: RedisAddress) -> list[ClusterNode]:
    return [ClusterNode(host, port) for host, port in place.hosts]  # type: ignore[no-untyped-call]


def backoff() -> ExponentialBackoff:
    return ExponentialBackoff(cap=0.2, base=0.05)


def broker(redis_url: str, connect_seconds: float | None = None, answer_seconds: float | None = None) -> Broker:
    """How Celery reaches the same Redis, on whichever side of the queue.

    A link that fell silent is noticed, where it would else be waited for until the kernel gives up.

    Raises:
        ValueError: see `parse_broker`.
    """
    place = parse_broker(redis_url)
    times = {
        "socket_connect_timeout": connect_seconds or CONNECT_SECONDS,
        "socket_timeout": answer_seconds or ANSWER_SECONDS,
    }
    link = {**times, "health_check_interval": IDLE_SECONDS, **OF_TCP, **only(place.options, *TIMEOUTS)}
    tls = dict(place.tls) if place.tls is not None else None
    login = login_of(place)
    if place.kind == "socket":
        return Broker(f"redis+socket://{login}{quote(place.path)}?virtual_host={place.db}", link, tls)
    if place.kind == "server":
        return Broker(f"redis://{login}{netloc(*place.hosts[0])}/{place.db}", link, tls)
    urls = ";".join(f"sentinel://{login}{netloc(*each)}/{place.db}" for each in place.hosts)
    return Broker(urls, {**link, "master_name": place.primary, "sentinel_kwargs": {**times, **place.sentinel}}, tls)


def login_of(place: RedisAddress) -> str:
    """What stands before the host in a URL."""
    username, password = (quote(place.options.get(name, ""), safe="") for name in LOGIN)
    return f"{username}:{password}@" if username or password else ""


def netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def only(options: Any, *names: str) -> dict[str, Any]:
    """Those of the options that have one of the names."""
    return {name: options[name] for name in names if name in options}


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
