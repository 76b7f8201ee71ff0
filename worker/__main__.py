"""Run a worker: `python -m worker` animates, `--queue train` trains, `--queue webhooks` sends webhooks."""

import argparse
import os

import structlog

from service.errors import QueueUnavailable, RedisUnsafe
from service.jobs.queue import QUEUES
from service.jobs.store import open_job_store
from service.logs import log_uncaught
from service.tracing import configure_tracing
from worker import deliver
from worker.app import app, settings

log = structlog.get_logger()


def main() -> None:
    """Work until stopped."""
    parser = argparse.ArgumentParser(description="A Cinemo worker.")
    queues = [*QUEUES.values(), deliver.QUEUE]
    parser.add_argument("--queue", choices=queues, default=QUEUES["animate"], help="Whose jobs it runs.")
    queue = parser.parse_args().queue
    log_uncaught()
    configure_tracing("cinemo-worker")
    require_safe_redis()
    if queue == deliver.QUEUE:
        deliver.main(settings)
        return
    # Workers of one machine would else have one name, under which only one of them answers.
    name = f"{queue}-{os.getpid()}@%h"
    quiet = ["--without-mingle", "--without-gossip"]
    app.worker_main(["--quiet", "worker", *quiet, "--queues", queue, "--hostname", name])


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
