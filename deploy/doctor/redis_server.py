"""Checks of Redis: whether it responds quickly, reads back what was written, and never loses data."""

import statistics
import time
from typing import Any

import redis
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError

from deploy.doctor.context import Context
from deploy.doctor.result import CheckResult, failure, ok, warning
from service.contract.problems import QueueUnavailable, RedisUnsafe
from service.store.connections import require_durable, section
from service.store.keys import NAMESPACE
from service.store.queue import JobQueue
from service.store.queue_stats import QueueStats

MIN_VERSION = 6
PINGS = 20
SLOW_MS = 10.0
SKEW_SECONDS = 1.0
FATAL_SKEW_SECONDS = 60.0
"""Receivers reject webhooks that are off by five minutes, S3 rejects requests that are off by fifteen."""
NEARLY_FULL, FULL = 0.75, 0.95
BROKER_SECONDS = 8.0
SEE_LOG = "see its log"
REPLICA = "it is a replica: set CINEMO_REDIS_URL to the primary, or to a Sentinel that knows it"
MEMORY_FULL = "it is full: raise maxmemory, or shorten CINEMO_JOB_RETENTION_SECONDS"
NO_PERMISSION = "allow its user all commands except @admin on the keys {cinemo}:*"
REMEDIES_BY_CLASS: dict[type[redis.RedisError], str] = {
    ReadOnlyError: REPLICA,
    OutOfMemoryError: MEMORY_FULL,
    NoPermissionError: NO_PERMISSION,
}
"""For errors whose code redis-py removes from the message, including those of scripts since Redis 7."""
REMEDIES_BY_MESSAGE = {
    "READONLY": REPLICA,
    "OOM": MEMORY_FULL,
    "MISCONF": "it cannot write to its disk: free space, and see its log",
    "NOPERM": NO_PERMISSION,
    "can't run this command": NO_PERMISSION,
}
"""By a substring of the message; before Redis 7, a script's error is wrapped in a generic one."""
KEY_SECONDS = 60
WRITE = f"""
redis.call('SET', KEYS[1], ARGV[1], 'EX', {KEY_SECONDS})
redis.call('ZADD', KEYS[2], 1, ARGV[1])
redis.call('XADD', KEYS[3], '*', 'field', ARGV[1])
local found = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return found
"""


def responds(context: Context) -> CheckResult:
    """Whether Redis responds, and its version."""
    try:
        context.redis.ping()
    except redis.AuthenticationError as error:
        return failure(f"rejects our login: {error}", "set user and password in CINEMO_REDIS_URL")
    except redis.RedisError as error:
        return failure(
            f"does not respond: {error}",
            "start Redis, or set CINEMO_REDIS_URL to an address that this machine can reach; check firewalls and TLS",
        )
    try:
        version = str(section(context.redis, "server")["redis_version"])
    except redis.RedisError as error:
        return warning(f"responds, but does not allow INFO: {error}", "allow its user INFO")
    if int(version.partition(".")[0]) < MIN_VERSION:
        return failure(f"version {version} is too old", f"run {MIN_VERSION}.0 or newer")
    return ok(f"responds, version {version}")


def writes(context: Context) -> CheckResult:
    """Whether scripts can write, which fails on a replica, if memory is full, or without permissions."""
    keys = [f"{NAMESPACE}doctor:{context.token}:{name}" for name in ("string", "set", "stream")]
    try:
        found: Any = context.redis.eval(WRITE, len(keys), *keys, context.token)
    except redis.RedisError as error:
        return failure(f"rejects writes: {error}", remedy_for(error))
    if found != context.token.encode():
        return failure("returned something other than what was written", "set CINEMO_REDIS_URL to Redis itself")
    return ok("scripts can write and read")


def remedy_for(error: redis.RedisError) -> str:
    """What to do if Redis rejects a write."""
    by_message = (remedy for text, remedy in REMEDIES_BY_MESSAGE.items() if text in str(error))
    return REMEDIES_BY_CLASS.get(type(error)) or next(by_message, SEE_LOG)


def latency(context: Context) -> CheckResult:
    """The median round-trip time."""
    times_ms = []
    for _ in range(PINGS):
        started = time.perf_counter()
        context.redis.ping()
        times_ms.append((time.perf_counter() - started) * 1000)
    median = statistics.median(times_ms)
    message = f"a round trip takes {median:.1f} ms, at most {max(times_ms):.1f} ms"
    if median > SLOW_MS:
        return warning(message, "run Redis near the API and the workers; each request makes several round trips")
    return ok(message)


def clock(context: Context) -> CheckResult:
    """The difference between this machine's clock and Redis', which leases and deadlines use."""
    before = time.time()
    seconds, microseconds = context.redis.time()
    after = time.time()
    skew = seconds + microseconds / 1e6 - (before + after) / 2
    message = f"this machine's clock and Redis' clock differ by {abs(skew):.3f} s"
    remedy = "synchronize both machines' clocks with NTP"
    if abs(skew) > FATAL_SKEW_SECONDS:
        return failure(message, remedy)
    return warning(message, remedy) if abs(skew) > SKEW_SECONDS else ok(message)


def durability(context: Context) -> CheckResult:
    """Whether a restart or full memory could lose accepted jobs."""
    required = context.settings.redis_durability == "required"
    try:
        require_durable(context.redis)
        persistence = section(context.redis, "persistence")
    except RedisUnsafe as problem:
        message, _, change = problem.detail.partition("; ")
        remedy = f"{change} in redis.conf or with CONFIG SET"
        return failure(message, remedy) if required else warning(f"{message} (CINEMO_REDIS_DURABILITY is any)", remedy)
    except NoPermissionError as error:
        if required:
            return failure(f"does not allow INFO: {error}", "allow its user INFO, or set CINEMO_REDIS_DURABILITY=any")
        return ok("does not allow INFO, and CINEMO_REDIS_DURABILITY is any")
    if persistence.get("aof_last_write_status", "ok") != "ok":
        return failure("the last write to its append-only file failed", "check its log and its disk")
    if persistence.get("aof_last_bgrewrite_status", "ok") != "ok":
        return warning("the last rewrite of its append-only file failed", "check its log, its memory and its disk")
    return ok("append-only file on, no eviction")


def memory(context: Context) -> CheckResult:
    """How much of its memory limit Redis uses."""
    found = QueueStats(context.redis).memory()
    if found is None:
        return warning("does not allow INFO", "allow its user INFO")
    if not found.limit:
        return warning(
            f"{found.used / 2**20:.0f} MiB used, without a limit: no alert fires before its machine is full",
            "set maxmemory to what its machine can spare, or half of that if it rewrites its append-only file there",
        )
    message = f"{found.used / 2**20:.0f} of {found.limit / 2**20:.0f} MiB used"
    remedy = "raise maxmemory, or shorten CINEMO_JOB_RETENTION_SECONDS; when full, it rejects jobs"
    if found.used > FULL * found.limit:
        return failure(message, remedy)
    return warning(message, remedy) if found.used > NEARLY_FULL * found.limit else ok(message)


def broker(context: Context) -> CheckResult:
    """Whether the queue's Redis responds, over the connection that Celery uses."""
    same = context.settings.broker == context.settings.redis_url
    try:
        JobQueue(context.settings.broker, BROKER_SECONDS).check()
    except QueueUnavailable as problem:
        variable = "CINEMO_REDIS_URL" if same else "CINEMO_BROKER_URL"
        return failure(f"the queue's Redis does not respond: {problem.detail}", f"start it, or correct {variable}")
    return ok(f"the queue is in {'the same' if same else 'its own'} Redis, which responds over Celery's connection")
