"""Checks of the queues: whether workers take the jobs in each."""

import time
from collections.abc import Callable

from deploy.doctor.context import Context
from deploy.doctor.result import CheckResult, failure, ok, warning
from service.contract.record import JobKind
from service.store.queue import QUEUES, SENDERS
from service.store.queue_stats import QueueStats
from service.store.workers import WorkerRegistry

LONG_SECONDS = 600.0
IDLE_SECONDS = 60.0
"""If a job waits longer than this while workers are idle, it isn't just waiting for its message."""
OVERDUE_SECONDS = 60.0
MISSED_LEASES = 4
"""Lease durations without a reaper round, of which there are four per lease."""


def queue_check(kind: JobKind) -> Callable[[Context], CheckResult]:
    """A check of the queue of a kind of job."""

    def check(context: Context) -> CheckResult:
        queue = QUEUES[kind]
        workers = [each for each in WorkerRegistry(context.redis).live() if queue in each.queues]
        idle = sum(not each.jobs for each in workers)
        waiting = QueueStats(context.redis).waiting(kind)
        message = f"workers: {len(workers)}, idle: {idle}; waiting jobs: {waiting.jobs}"
        if waiting.jobs:
            message += f", the oldest for {waiting.oldest_seconds:.0f} s"
        if not workers:
            return no_workers(queue, message, bool(waiting.jobs))
        if idle and waiting.oldest_seconds > IDLE_SECONDS:
            cause = "a tenant's max_running, or a lost message"
            return warning(message, f"see docs/operations.md#jobs-wait-too-long: {cause}")
        if waiting.oldest_seconds > LONG_SECONDS:
            return warning(message, "run more workers; see docs/operations.md#jobs-wait-too-long")
        return ok(message)

    return check


def no_workers(queue: str, message: str, waiting: bool) -> CheckResult:
    """The result for a queue without workers, which is a failure if something is `waiting` in it."""
    remedy = f"start one (`python -m worker --queue {queue}`), or see the logs of those that should be running"
    return failure(message, remedy) if waiting else warning(message, remedy)


def reaper(context: Context) -> CheckResult:
    """Whether jobs of dead workers are requeued, which one elected worker does."""
    workers = [each for each in WorkerRegistry(context.redis).live() if SENDERS not in each.queues]
    if not workers:
        return ok("no reaper, because there are no workers")
    first = min(each.since for each in workers).timestamp()
    last = QueueStats(context.redis).reaper_round()
    silent = max(0.0, time.time() - (last or first))
    message = (
        f"the last round ended {silent:.0f} s ago" if last else f"no round since workers started {silent:.0f} s ago"
    )
    if silent > MISSED_LEASES * context.settings.lease_seconds:
        return failure(message, "search the workers' logs for `round failed`: docs/operations.md#nobody-reaps")
    return ok(message)


def webhooks(context: Context) -> CheckResult:
    """Whether webhooks are being sent, by senders that use no Celery queue."""
    senders = sum(SENDERS in each.queues for each in WorkerRegistry(context.redis).live())
    overdue = QueueStats(context.redis).webhooks_overdue_seconds()
    message = f"senders: {senders}; the oldest due webhook is {overdue:.0f} s late"
    if not senders:
        return no_workers(SENDERS, message, bool(overdue))
    if overdue > OVERDUE_SECONDS:
        return warning(message, "run more senders, or raise CINEMO_WEBHOOK_CONCURRENCY")
    return ok(message)
