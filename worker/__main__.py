"""Run a worker: `python -m worker` animates and edits, `--queue train` trains, `--queue webhooks` sends webhooks."""

import argparse
import os
import sys
from importlib import import_module

import structlog

from service.contract.problems import QueueUnavailable, RedisUnsafe
from service.observability.logs import log_uncaught
from service.observability.tracing import configure_tracing
from service.store.jobs import open_job_store
from service.store.queue import QUEUES, SENDERS
from worker import deliver
from worker.app import app, settings
from worker.startup import uncollected

log = structlog.get_logger()


def main() -> None:
    """Work until stopped."""
    parser = argparse.ArgumentParser(description="A Cinemo worker.")
    default = ",".join((QUEUES["animate"], QUEUES["edit"]))
    parser.add_argument("--queue", type=known_queues, default=default, help="Queues to work on, separated by commas.")
    queues = parser.parse_args().queue
    log_uncaught()
    configure_tracing("cinemo-worker")
    require_safe_redis()
    if queues == SENDERS:
        deliver.main(settings)
        return
    # Not at the top: they bring the model's libraries, which a worker that sends webhooks does without.
    with uncollected():
        from worker import lifecycle

        load_tasks(queues)

    # Workers of one machine would else have one name, under which only one of them answers.
    name = f"{queues.replace(',', '-')}-{os.getpid()}@%h"
    # Who lives is told in Redis (worker/heartbeat.py): Celery's heartbeats are events that nobody listens to.
    quiet = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    lifecycle.begin()
    app.worker_main(["--quiet", "worker", *quiet, "--queues", queues, "--hostname", name])
    sys.exit(lifecycle.exit_code)


def known_queues(text: str) -> str:
    """Refuse names that are no queue's; webhooks are sent by a process of their own."""
    unknown = set(text.split(",")) - set(QUEUES.values())
    if unknown and text != SENDERS:
        known = ", ".join((*QUEUES.values(), SENDERS))
        raise argparse.ArgumentTypeError(f"{text} is none of {known}, nor several of the first by commas")
    return text


def load_tasks(queues: str) -> None:
    """Load the tasks of some queues, each with what it works with: one that trains needs no pipeline."""
    for kind, queue in QUEUES.items():
        if queue in queues.split(","):
            import_module(f"worker.{kind}")


def require_safe_redis() -> None:
    """Refuse to work on a Redis that would lose jobs; one that does not answer yet is waited for."""
    try:
        open_job_store(settings).check()
    except RedisUnsafe as problem:
        log.critical("not started", error=problem.detail)
        raise SystemExit(1) from problem
    except QueueUnavailable as problem:
        log.warning("started without Redis", error=problem.detail)


if __name__ == "__main__":
    main()
