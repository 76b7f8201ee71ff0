"""Redis: whether it answers, soon and with what it was told, and keeps all of it."""

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

OLDEST_VERSION = 6
PINGS = 20
SLOW_MS = 10.0
SKEW_SECONDS = 1.0
FATAL_SKEW_SECONDS = 60.0
"""Receivers refuse webhooks that are five minutes off, S3 requests that are fifteen."""
NEARLY_FULL, FULL = 0.75, 0.95
BROKER_SECONDS = 8.0
LOOK = "look at its log"
REPLICA = "it is a replica: let CINEMO_REDIS_URL name the primary, or the Sentinel that knows it"
MEMORY_FULL = "it is full: raise maxmemory, or shorten CINEMO_JOB_RETENTION_SECONDS"
NOT_ALLOWED = "allow its user all commands but admin's on the keys {cinemo}:*"
REMEDIES_BY_CLASS: dict[type[redis.RedisError], str] = {
    ReadOnlyError: REPLICA,
    OutOfMemoryError: MEMORY_FULL,
    NoPermissionError: NOT_ALLOWED,
}
"""Of errors whose code redis-py takes off the message, as it does with those of scripts since Redis 7."""
REMEDIES_BY_MESSAGE = {
    "READONLY": REPLICA,
    "OOM": MEMORY_FULL,
    "MISCONF": "it cannot write to its disk: make room, and look at its log",
    "NOPERM": NOT_ALLOWED,
    "can't run this command": NOT_ALLOWED,
}
"""By a part of the message; before Redis 7, a script's error is wrapped in another, which has no class of its own."""
KEY_SECONDS = 60
WRITE = f"""
redis.call('SET', KEYS[1], ARGV[1], 'EX', {KEY_SECONDS})
redis.call('ZADD', KEYS[2], 1, ARGV[1])
redis.call('XADD', KEYS[3], '*', 'field', ARGV[1])
local found = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return found
"""


def answers(context: Context) -> CheckResult:
    """Whether it is there, and of which version."""
    try:
        context.redis.ping()
    except redis.AuthenticationError as error:
        return failure(f"refuses us: {error}", "set user and password in CINEMO_REDIS_URL")
    except redis.RedisError as error:
        return failure(
            f"does not answer: {error}",
            "start Redis, or set CINEMO_REDIS_URL to where this machine reaches it; look at firewalls and TLS",
        )
    try:
        version = str(section(context.redis, "server")["redis_version"])
    except redis.RedisError as error:
        return warning(f"answers, but may not be asked for its version: {error}", "allow its user INFO")
    if int(version.partition(".")[0]) < OLDEST_VERSION:
        return failure(f"is of version {version}", f"run {OLDEST_VERSION}.0 or newer")
    return ok(f"answers, version {version}")


def writes(context: Context) -> CheckResult:
    """Whether a script may write, as it may not on a replica, in full memory or without rights."""
    keys = [f"{NAMESPACE}doctor:{context.token}:{name}" for name in ("string", "set", "stream")]
    try:
        found: Any = context.redis.eval(WRITE, len(keys), *keys, context.token)
    except redis.RedisError as error:
        return failure(f"takes no writes: {error}", remedy_of(error))
    if found != context.token.encode():
        return failure("gave back something else than was written", "let CINEMO_REDIS_URL name Redis itself")
    return ok("scripts write and read back")


def remedy_of(error: redis.RedisError) -> str:
    """What to do where Redis refuses a write."""
    by_message = (remedy for sign, remedy in REMEDIES_BY_MESSAGE.items() if sign in str(error))
    return REMEDIES_BY_CLASS.get(type(error)) or next(by_message, LOOK)


def latency(context: Context) -> CheckResult:
    """The median of some round trips."""
    taken = []
    for _ in range(PINGS):
        began = time.perf_counter()
        context.redis.ping()
        taken.append((time.perf_counter() - began) * 1000)
    median = statistics.median(taken)
    message = f"a round trip takes {median:.1f} ms, at most {max(taken):.1f} ms"
    if median > SLOW_MS:
        return warning(message, "run Redis in the region of API and workers; each request makes several round trips")
    return ok(message)


def clock(context: Context) -> CheckResult:
    """How far this machine's clock and that of Redis are apart, by which leases and deadlines go."""
    before = time.time()
    seconds, microseconds = context.redis.time()
    after = time.time()
    skew = seconds + microseconds / 1e6 - (before + after) / 2
    message = f"this machine's clock and that of Redis are {abs(skew):.3f} s apart"
    remedy = "synchronise both machines' clocks by NTP"
    if abs(skew) > FATAL_SKEW_SECONDS:
        return failure(message, remedy)
    return warning(message, remedy) if abs(skew) > SKEW_SECONDS else ok(message)


def durability(context: Context) -> CheckResult:
    """Whether a restart or full memory would lose accepted jobs."""
    required = context.settings.redis_durability == "required"
    try:
        require_durable(context.redis)
        persistence = section(context.redis, "persistence")
    except RedisUnsafe as problem:
        fact, _, remedy = problem.detail.partition("; ")
        how = f"{remedy} in redis.conf or by CONFIG SET"
        return failure(fact, how) if required else warning(f"{fact} (CINEMO_REDIS_DURABILITY is any)", how)
    except NoPermissionError as error:
        if required:
            return failure(f"may not be asked: {error}", "allow its user INFO, or set CINEMO_REDIS_DURABILITY=any")
        return ok("may not be asked, and CINEMO_REDIS_DURABILITY is any")
    if persistence.get("aof_last_write_status", "ok") != "ok":
        return failure("its last write to the append-only file failed", "look at its log and at its disk")
    if persistence.get("aof_last_bgrewrite_status", "ok") != "ok":
        return warning("the last rewrite of its append-only file failed", "look at its log, its memory and its disk")
    return ok("append-only file on, nothing is evicted")


def memory(context: Context) -> CheckResult:
    """How much of what it may use is used."""
    found = QueueStats(context.redis).memory()
    if found is None:
        return warning("may not be asked for its memory", "allow its user INFO")
    if not found.limit:
        return warning(
            f"{found.used / 2**20:.0f} MiB used, without a limit: no alert will tell before its machine is full",
            "set maxmemory to what its machine can spare, half of it where it rewrites its file there",
        )
    message = f"{found.used / 2**20:.0f} of {found.limit / 2**20:.0f} MiB used"
    remedy = "raise maxmemory, or shorten CINEMO_JOB_RETENTION_SECONDS; a full one refuses jobs"
    if found.used > FULL * found.limit:
        return failure(message, remedy)
    return warning(message, remedy) if found.used > NEARLY_FULL * found.limit else ok(message)


def broker(context: Context) -> CheckResult:
    """The Redis of the queue, by the link that Celery has to it."""
    same = context.settings.broker == context.settings.redis_url
    try:
        JobQueue(context.settings.broker, BROKER_SECONDS).check()
    except QueueUnavailable as problem:
        variable = "CINEMO_REDIS_URL" if same else "CINEMO_BROKER_URL"
        return failure(f"the queue's Redis does not answer: {problem.detail}", f"start it, or correct {variable}")
    return ok(f"the queue is in {'the same' if same else 'its own'} Redis, which answers as Celery reaches it")
