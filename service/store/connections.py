"""Connections to Redis: a single server, a primary behind Sentinel, or a cluster.

`service.contract.redis_urls` parses the URLs for both redis-py and Celery's transport.
"""

import socket
from dataclasses import dataclass, replace
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
from service.store.circuit import Circuit, CircuitMixin

CONNECT_SECONDS = 2.0
RESPONSE_SECONDS = 10.0
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


class CircuitRedis(CircuitMixin, redis.Redis):
    """A client of one server with a circuit breaker."""


class CircuitCluster(CircuitMixin, redis.RedisCluster):
    """A client of a cluster with a circuit breaker."""


@dataclass(frozen=True)
class Broker:
    """Celery's settings `broker_url`, `broker_transport_options` and `broker_use_ssl`."""

    url: str
    options: dict[str, Any]
    tls: dict[str, Any] | None


def connect_for_requests(redis_url: str, seconds: float, circuit: Circuit) -> redis.Redis:
    """A client for requests, with a short timeout, after which it does not retry, but opens the circuit.

    Raises:
        ValueError: not a Redis URL.
    """
    # A pooled connection may have been closed in the meantime; timeouts are not retried.
    retry = Retry(backoff(), retries=RETRIES, supported_errors=(redis.ConnectionError,))
    address = parse(redis_url)
    # They add up to `seconds`.
    timeouts = {"socket_connect_timeout": seconds / 4, "socket_timeout": seconds * 3 / 4, **TCP_OPTIONS}
    client: Any
    if address.kind == "cluster":
        once = Retry(backoff(), retries=1)
        options = {**timeouts, **address.connection_options}
        client = CircuitCluster(startup_nodes=nodes_of(address), retry=once, **options)
    else:
        client = open_client(address, CircuitRedis, Sentinel, timeouts, retry)
    client.circuit = circuit
    return cast(redis.Redis, client)


def connect(redis_url: str) -> redis.Redis:
    """A client that retries a broken connection twice, and gives up within seconds if Redis is down.

    Raises:
        ValueError: not a Redis URL.
    """
    timeouts = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": RESPONSE_SECONDS, **TCP_OPTIONS}
    address = parse(redis_url)
    if address.kind == "cluster":
        # A cluster's client has the same commands, but is not a subclass.
        cluster: Any = redis.RedisCluster(startup_nodes=nodes_of(address), **{**timeouts, **address.connection_options})
        return cast(redis.Redis, cluster)
    return cast(redis.Redis, open_client(address, redis.Redis, Sentinel, timeouts, Retry(backoff(), retries=RETRIES)))


def connect_async(redis_url: str) -> Any:
    """A client without a read timeout, for blocking reads; raises as `connect`.

    It reopens pooled connections that have been closed.
    """
    timeouts: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": None,
        "health_check_interval": IDLE_SECONDS,
        **TCP_OPTIONS,
    }
    address = parse(redis_url)
    # A URL's timeout would end the reads that block.
    address = replace(address, options={**address.options, "socket_timeout": None})
    if address.kind == "cluster":
        nodes = [AsyncClusterNode(host, port) for host, port in address.hosts]
        return redis.asyncio.RedisCluster(startup_nodes=nodes, **{**timeouts, **address.connection_options})
    retry = AsyncRetry(backoff(), retries=RETRIES, supported_errors=(redis.ConnectionError,))
    return open_client(address, redis.asyncio.Redis, AsyncSentinel, timeouts, retry)


def open_client(
    address: RedisAddress, client_type: Any, sentinel_type: Any, timeouts: dict[str, Any], retry: Retry | AsyncRetry
) -> Any:
    """A client of a single server, by address, socket or Sentinel; `client_type` and `sentinel_type` are redis-py's."""
    options = {**timeouts, "retry": retry, "db": address.db, **address.connection_options}
    if address.kind == "socket":
        return client_type(unix_socket_path=address.path, **options)
    if address.kind == "server":
        host, port = address.hosts[0]
        return client_type(host=host, port=port, **options)
    # Sentinels answer at once, so none needs to be waited for without limit.
    timeouts = {**timeouts, "socket_timeout": timeouts["socket_timeout"] or CONNECT_SECONDS}
    sentinels = sentinel_type(address.hosts, sentinel_kwargs={**timeouts, **address.sentinel})
    return sentinels.master_for(address.primary, client_type, **options)


def nodes_of(address: RedisAddress) -> list[ClusterNode]:
    return [ClusterNode(host, port) for host, port in address.hosts]  # type: ignore[no-untyped-call]


def backoff() -> ExponentialBackoff:
    return ExponentialBackoff(cap=0.2, base=0.05)


def broker(redis_url: str) -> Broker:
    """The settings with which the workers' Celery connects to a Redis.

    Timeouts detect a dead connection, on which Celery would otherwise wait until the kernel gives up.

    Raises:
        ValueError: see `parse_broker`.
    """
    address = parse_broker(redis_url)
    timeouts = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": RESPONSE_SECONDS}
    own_timeouts = {name: value for name, value in address.options.items() if name in TIMEOUTS}
    options = {**timeouts, "health_check_interval": IDLE_SECONDS, **TCP_OPTIONS, **own_timeouts}
    tls = dict(address.tls) if address.tls is not None else None
    login = login_of(address)
    if address.kind == "socket":
        return Broker(f"redis+socket://{login}{quote(address.path)}?virtual_host={address.db}", options, tls)
    if address.kind == "server":
        return Broker(f"redis://{login}{netloc(*address.hosts[0])}/{address.db}", options, tls)
    urls = ";".join(f"sentinel://{login}{netloc(*each)}/{address.db}" for each in address.hosts)
    sentinel_options = {"master_name": address.primary, "sentinel_kwargs": {**timeouts, **address.sentinel}}
    return Broker(urls, {**options, **sentinel_options}, tls)


def login_of(address: RedisAddress) -> str:
    """Username and password as the prefix of a host in a URL."""
    username, password = (quote(address.options.get(name, ""), safe="") for name in LOGIN)
    return f"{username}:{password}@" if username or password else ""


def netloc(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
