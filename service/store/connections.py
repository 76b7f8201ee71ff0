"""Connections to Redis: a single server, a primary behind Sentinel, or a cluster.

`service.contract.redis_urls` parses the URLs for both redis-py and Celery's transport.
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
"""Idle time after which a connection is checked before use."""
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""TCP keepalive, sooner than NATs drop idle connections; options unknown to this system are skipped."""
TCP_OPTIONS: dict[str, Any] = {
    "socket_keepalive": True,
    "socket_keepalive_options": {
        getattr(socket, name): seconds for name, seconds in KEEPALIVE.items() if hasattr(socket, name)
    },
}
RETRIES = 2


class GuardedRedis(Guard, redis.Redis):
    """A client of one server with a circuit breaker."""


class GuardedCluster(Guard, redis.RedisCluster):
    """A client of a cluster with a circuit breaker."""


@dataclass(frozen=True)
class Broker:
    """Celery's settings `broker_url`, `broker_transport_options` and `broker_use_ssl`."""

    url: str
    options: dict[str, Any]
    tls: dict[str, Any] | None


def connect_briefly(redis_url: str, seconds: float, circuit: Circuit) -> redis.Redis:
    """A client for requests, with a short timeout, after which it does not retry, but opens the circuit.

    Raises:
        ValueError: not a Redis URL.
    """
    # A pooled connection may have been closed in the meantime; timeouts are not retried.
    retry = Retry(backoff(), retries=RETRIES, supported_errors=(redis.ConnectionError,))
    place = parse(redis_url)
    times = {**brief(seconds), **TCP_OPTIONS}
    client: Any
    if place.kind == "cluster":
        once = Retry(backoff(), retries=1)
        client = GuardedCluster(startup_nodes=nodes_of(place), retry=once, **{**times, **place.connection_options})
    else:
        client = client_of(place, GuardedRedis, times, retry)
    client.circuit = circuit
    return cast(redis.Redis, client)


def brief(seconds: float) -> dict[str, Any]:
    """Timeouts for connecting and for the response, which add up to `seconds`."""
    return {"socket_connect_timeout": seconds / 4, "socket_timeout": seconds * 3 / 4}


def connect(redis_url: str) -> redis.Redis:
    """A client that retries a broken connection twice, and gives up within seconds if Redis is down.

    Raises:
        ValueError: not a Redis URL.
    """
    times = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS, **TCP_OPTIONS}
    place = parse(redis_url)
    if place.kind == "cluster":
        # A cluster's client has the same commands, but is not a subclass.
        cluster: Any = redis.RedisCluster(startup_nodes=nodes_of(place), **{**times, **place.connection_options})
        return cast(redis.Redis, cluster)
    return client_of(place, redis.Redis, times, Retry(backoff(), retries=RETRIES))


def client_of(place: RedisAddress, kind: type[redis.Redis], times: dict[str, Any], retry: Retry) -> redis.Redis:
    """A client of a single server, by address, socket or Sentinel."""
    options = {**times, "retry": retry, "db": place.db, **place.connection_options}
    if place.kind == "socket":
        return kind(unix_socket_path=place.path, **options)
    if place.kind == "server":
        host, port = place.hosts[0]
        return kind(host=host, port=port, **options)
    sentinels: Any = Sentinel(place.hosts, sentinel_kwargs={**times, **place.sentinel})  # type: ignore[no-untyped-call]
    return cast(redis.Redis, sentinels.master_for(place.primary, kind, **options))


def connect_async(redis_url: str) -> Any:
    """A client without a read timeout, for blocking reads; raises as `connect`.

    It reopens pooled connections that have been closed.
    """
    times: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": None,
        "health_check_interval": IDLE_SECONDS,
        **TCP_OPTIONS,
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
        sentinel_options = {
            "socket_timeout": CONNECT_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
            **place.sentinel,
        }
        sentinels: Any = AsyncSentinel(place.hosts, sentinel_kwargs=sentinel_options)  # type: ignore[no-untyped-call]
        return sentinels.master_for(place.primary, **options)
    nodes = [AsyncClusterNode(host, port) for host, port in place.hosts]
    return redis.asyncio.RedisCluster(startup_nodes=nodes, **{**times, **place.connection_options})


def nodes_of(place: RedisAddress) -> list[ClusterNode]:
    return [ClusterNode(host, port) for host, port in place.hosts]  # type: ignore[no-untyped-call]


def backoff() -> ExponentialBackoff:
    return ExponentialBackoff(cap=0.2, base=0.05)


def broker(redis_url: str) -> Broker:
    """The workers' Celery's connection to the same Redis.

    Timeouts detect a dead connection, on which Celery would otherwise wait until the kernel gives up.

    Raises:
        ValueError: see `parse_broker`.
    """
    place = parse_broker(redis_url)
    times = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS}
    link = {**times, "health_check_interval": IDLE_SECONDS, **TCP_OPTIONS, **only(place.options, *TIMEOUTS)}
    tls = dict(place.tls) if place.tls is not None else None
    login = login_of(place)
    if place.kind == "socket":
        return Broker(f"redis+socket://{login}{quote(place.path)}?virtual_host={place.db}", link, tls)
    if place.kind == "server":
        return Broker(f"redis://{login}{netloc(*place.hosts[0])}/{place.db}", link, tls)
    urls = ";".join(f"sentinel://{login}{netloc(*each)}/{place.db}" for each in place.hosts)
    return Broker(urls, {**link, "master_name": place.primary, "sentinel_kwargs": {**times, **place.sentinel}}, tls)


def login_of(place: RedisAddress) -> str:
    """Username and password as the prefix of a host in a URL."""
    username, password = (quote(place.options.get(name, ""), safe="") for name in LOGIN)
    return f"{username}:{password}@" if username or password else ""


def netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def only(options: Any, *names: str) -> dict[str, Any]:
    """The options with these names."""
    return {name: options[name] for name in names if name in options}


def require_durable(client: redis.Redis) -> None:
    """Check, with INFO, that Redis is durable.

    Raises:
        RedisUnsafe: it has no append-only file, or evicts keys when its memory is full.
        redis.RedisError: it does not respond.
    """
    persistence, memory = section(client, "persistence"), section(client, "memory")
    if not persistence.get("aof_enabled"):
        raise RedisUnsafe("Redis keeps no append-only file, so a restart loses jobs; set `appendonly yes`")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise RedisUnsafe(f"Redis drops keys when its memory is full ({policy}); set `maxmemory-policy noeviction`")


def section(client: redis.Redis, name: str) -> dict[str, Any]:
    """A section of INFO; in a cluster, that of the first node."""
    found: Any = client.info(name)
    first = next(iter(found.values()), None)
    return first if isinstance(first, dict) else found
