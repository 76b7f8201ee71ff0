"""The checks, each after those that it needs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

from deploy.doctor import device, disk, model, public_url, queues, redis_server, signing, storage, tenants, variables
from deploy.doctor.context import Context
from deploy.doctor.result import CheckResult, Finding, Status, failure, skipped
from service.contract.record import JobKind


@dataclass(frozen=True)
class Check:
    """A check; skipped if the check that it `needs` has failed."""

    name: str
    run: Callable[[Context], CheckResult]
    needs: str | None = None


CHECKS = (
    Check("settings", variables.known_variables),
    Check("settings.secrets", variables.secrets_folder),
    Check("settings.signing_key", variables.signing_key),
    Check("redis", redis_server.responds),
    Check("redis.durability", redis_server.durability, "redis"),
    Check("redis.writes", redis_server.writes, "redis"),
    Check("redis.memory", redis_server.memory, "redis"),
    Check("redis.latency", redis_server.latency, "redis"),
    Check("redis.clock", redis_server.clock, "redis"),
    Check("redis.broker", redis_server.broker),
    Check("storage", storage.exists),
    Check("storage.objects", storage.objects, "storage"),
    Check("storage.multipart", storage.multipart, "storage"),
    Check("storage.download_url", storage.download_url, "storage.objects"),
    Check("storage.upload_url", storage.upload_url, "storage.objects"),
    Check("storage.deletion", storage.deletion, "storage.objects"),
    Check("storage.disk", disk.storage_folder, "storage"),
    *(Check(f"queue.{kind}", queues.queue_check(kind), "redis") for kind in get_args(JobKind)),
    Check("queue.reaper", queues.reaper, "redis"),
    Check("queue.webhooks", queues.webhooks, "redis"),
    Check("signing.key", signing.key),
    Check("signing.workers", signing.workers, "redis"),
    Check("tenants.keys", tenants.keys, "redis"),
    Check("tenants.webhook_secrets", tenants.webhook_secrets, "redis"),
    Check("device", device.device),
    Check("device.computation", device.computation, "device"),
    Check("device.memory", device.memory, "device"),
    Check("model", model.files),
    Check("model.run", model.run, "model"),
    Check("work_folder", disk.work_folder),
    Check("public_url", public_url.public_url),
)


def run_checks(context: Context, checks: tuple[Check, ...] = CHECKS) -> Iterator[Finding]:
    """Yield each check's finding as soon as it is known."""
    failed: set[str] = set()
    for check in checks:
        if check.needs in failed:
            failed.add(check.name)
            result = skipped(f"run again once {check.needs} is fixed")
        else:
            result = run(check, context)
            if result.status is Status.FAILURE:
                failed.add(check.name)
        yield Finding.of(check.name, result)


def run(check: Check, context: Context) -> CheckResult:
    """Run a check; an unexpected error becomes a failure, so that the other checks continue."""
    try:
        return check.run(context)
    except Exception as error:
        return failure(f"{type(error).__name__}: {error}", "fix the component that raised this error")
