"""Run a worker: `python -m worker` animates, `python -m worker --queue train` trains."""

import argparse
import os

import structlog

from service.errors import QueueUnavailable, RedisUnsafe
from service.jobs.queue import QUEUES
from worker.app import app
from worker.parts import job_store

log = structlog.get_logger()


def main() -> None:
    """Work until stopped."""
    parser = argparse.ArgumentParser(description="A Cinemo worker.")
    parser.add_argument("--queue", choices=QUEUES.values(), default=QUEUES["animate"], help="Whose jobs it runs.")
    queue = parser.parse_args().queue
    require_safe_redis()
    # Workers of one machine would else have one name, under which only one of them answers.
    name = f"{queue}-{os.getpid()}@%h"
    quiet = ["--without-mingle", "--without-gossip"]
    app.worker_main(["worker", "--loglevel", "INFO", *quiet, "--queues", queue, "--hostname", name])


def require_safe_redis() -> None:
    """Refuse to work on a Redis that would lose jobs; for one that does not answer yet Celery waits."""
    try:
        job_store().check()
    except RedisUnsafe as problem:
        raise SystemExit(problem.detail) from problem
    except QueueUnavailable as problem:
        log.warning("started without Redis", error=problem.detail)


if __name__ == "__main__":
    main()
