"""Run a worker: `python -m worker` animates and edits, `--queue train` trains, `--queue webhooks` sends webhooks."""

import argparse
import os
import sys
from importlib import import_module

import structlog

from service.contract.problems import QueueUnavailable, RedisUnsafe
from service.observability.logs import log_uncaught
from service.observability.tracing import configure_tracing
from service.store.queue import QUEUES, SENDERS
from service.store.worker_jobs import open_worker_jobs
from worker import deliver
from worker.app import app, settings
from worker.startup import gc_paused

log = structlog.get_logger()


def main() -> None:
    """Run until stopped."""
    parser = argparse.ArgumentParser(description="A Cinemo worker.")
    default = ",".join((QUEUES["animate"], QUEUES["edit"]))
    parser.add_argument("--queue", type=known_queues, default=default, help="Queues to serve, separated by commas.")
    queues = parser.parse_args().queue
    log_uncaught()
    configure_tracing("cinemo-worker")
    require_safe_redis()
    if queues == SENDERS:
        deliver.main(settings)
        return
    # Imported here, because a webhook sender needs none of the model's libraries.
    with gc_paused():
        from worker import lifecycle

        load_tasks(queues)

    # Must be unique: of several workers with the same name, only one would respond.
    name = f"{queues.replace(',', '-')}-{os.getpid()}@%h"
    # Heartbeats are in Redis (worker/heartbeat.py); Celery's are events, which nothing receives.
    options = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    lifecycle.start()
    app.worker_main(["--quiet", "worker", *options, "--queues", queues, "--hostname", name])
    sys.exit(lifecycle.exit_code)


def known_queues(text: str) -> str:
    """Validate queue names; webhooks need a process of their own."""
    unknown = set(text.split(",")) - set(QUEUES.values())
    if unknown and text != SENDERS:
        jobs = ", ".join(QUEUES.values())
        raise argparse.ArgumentTypeError(f"{text!r}: expected one or more of {jobs}, or {SENDERS} alone")
    return text


def load_tasks(queues: str) -> None:
    """Import only the tasks of these queues: a worker that trains needs no pipeline."""
    for kind, queue in QUEUES.items():
        if queue in queues.split(","):
            import_module(f"worker.{kind}")


def require_safe_redis() -> None:
    """Exit if Redis could lose jobs; if it is unavailable, continue, and connect later."""
    try:
        open_worker_jobs(settings).check()
    except RedisUnsafe as problem:
        log.critical("not started", error=problem.detail)
        raise SystemExit(1) from problem
    except QueueUnavailable as problem:
        log.warning("started without Redis", error=problem.detail)


if __name__ == "__main__":
    main()
