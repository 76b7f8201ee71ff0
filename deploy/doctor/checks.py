"""The checks, in the order in which things stand on each other."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

from deploy.doctor import device, model, queues, redis_server, storage, surroundings, tenants, variables
from deploy.doctor.context import Context
from deploy.doctor.result import CheckResult, Finding, Status, failure, skipped
from service.contract.record import JobKind


@dataclass(frozen=True)
class Check:
    """One look at one thing; where `needs` has failed it says nothing of its own."""

    name: str
    look: Callable[[Context], CheckResult]
    needs: str | None = None


CHECKS = (
    Check("settings", variables.known_variables),
    Check("settings.secrets", variables.secrets_folder),
    Check("settings.signing_key", variables.signing_key),
    Check("redis", redis_server.answers),
    Check("redis.durability", redis_server.durability, "redis"),
    Check("redis.writes", redis_server.writes, "redis"),
    Check("redis.memory", redis_server.memory, "redis"),
    Check("redis.latency", redis_server.latency, "redis"),
    Check("redis.clock", redis_server.clock, "redis"),
    Check("redis.broker", redis_server.broker),
    Check("storage", storage.answers),
    Check("storage.objects", storage.objects, "storage"),
    Check("storage.parts", storage.parts, "storage"),
    Check("storage.download_url", storage.download_url, "storage.objects"),
    Check("storage.upload_url", storage.upload_url, "storage.objects"),
    Check("storage.deleting", storage.deleting, "storage.objects"),
    Check("storage.room", surroundings.storage_folder, "storage"),
    *(Check(f"queue.{kind}", queues.line_of(kind), "redis") for kind in get_args(JobKind)),
    Check("queue.reaper", queues.reaper, "redis"),
    Check("queue.webhooks", queues.webhooks, "redis"),
    Check("tenants.keys", tenants.keys, "redis"),
    Check("tenants.webhook_secrets", tenants.webhook_secrets, "redis"),
    Check("device", device.device),
    Check("device.computing", device.computing, "device"),
    Check("device.memory", device.memory, "device"),
    Check("model", model.parts),
    Check("model.running", model.running, "model"),
    Check("work_folder", surroundings.work_folder),
    Check("public_url", surroundings.public_url),
)


def examine(context: Context, checks: tuple[Check, ...] = CHECKS) -> Iterator[Finding]:
    """What each check finds, as soon as it has."""
    failed: set[str] = set()
    for check in checks:
        if check.needs in failed:
            failed.add(check.name)
            result = skipped(f"to be seen once {check.needs} is fixed")
        else:
            result = looked(check, context)
            if result.status is Status.FAILURE:
                failed.add(check.name)
        yield Finding.of(check.name, result)


def looked(check: Check, context: Context) -> CheckResult:
    """What a check says; what it did not expect is a failure of what it looked at, and the others go on."""
    try:
        return check.look(context)
    except Exception as error:
        return failure(f"{type(error).__name__}: {error}", "look at the part that this names")
