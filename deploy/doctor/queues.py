"""The queues: whether somebody takes what waits in each."""

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
"""A job that waits longer than this beside idle workers is not only between two messages."""
OVERDUE_SECONDS = 60.0
ROUNDS_MISSED = 4
"""In leases, of which each has four rounds."""


def line_of(kind: JobKind) -> Callable[[Context], CheckResult]:
    """A check of the jobs of a kind."""

    def line(context: Context) -> CheckResult:
        queue = QUEUES[kind]
        workers = [each for each in WorkerRegistry(context.redis).live() if queue in each.queues]
        idle = sum(each.job is None for each in workers)
        waiting = QueueStats(context.redis).waiting(kind)
        message = f"workers: {len(workers)}, idle: {idle}; jobs that wait: {waiting.jobs}"
        if waiting.jobs:
            message += f", the first for {waiting.oldest_seconds:.0f} s"
        if not workers:
            return nobody(queue, message, bool(waiting.jobs))
        if idle and waiting.oldest_seconds > IDLE_SECONDS:
            return warning(message, "see docs/operations.md#jobs-wait-too-long: a tenant's max_running, or a lost hint")
        if waiting.oldest_seconds > LONG_SECONDS:
            return warning(message, "run more workers; see docs/operations.md#jobs-wait-too-long")
        return ok(message)

    return line


def nobody(queue: str, message: str, missed: bool) -> CheckResult:
    """What is said of a queue without workers, which are `missed` where something waits for them."""
    start = f"start one (`python -m worker --queue {queue}`), or look at the logs of those that should run"
    return failure(message, start) if missed else warning(message, start)


def reaper(context: Context) -> CheckResult:
    """Whether jobs of workers that died are put back, which one of the workers does for all."""
    workers = [each for each in WorkerRegistry(context.redis).live() if SENDERS not in each.queues]
    if not workers:
        return ok("no worker reaps, as there is none")
    first = min(each.since for each in workers).timestamp()
    last = QueueStats(context.redis).reaper_round()
    silent = max(0.0, time.time() - (last or first))
    message = (
        f"the last round ended {silent:.0f} s ago" if last else f"no round in the {silent:.0f} s that workers live"
    )
    if silent > ROUNDS_MISSED * context.settings.lease_seconds:
        return failure(message, "look for `round failed` in the workers' logs: docs/operations.md#nobody-reaps")
    return ok(message)


def webhooks(context: Context) -> CheckResult:
    """The senders of webhooks, which read no queue of Celery's."""
    senders = sum(SENDERS in each.queues for each in WorkerRegistry(context.redis).live())
    overdue = QueueStats(context.redis).webhooks_overdue_seconds()
    message = f"senders: {senders}; what is due first has been for {overdue:.0f} s"
    if not senders:
        return nobody(SENDERS, message, bool(overdue))
    if overdue > OVERDUE_SECONDS:
        return warning(message, "run more senders, or raise CINEMO_WEBHOOKS_AT_ONCE")
    return ok(message)
