"""Run a worker: `python -m worker` animates, `python -m worker --queue train` trains."""

import argparse
import os

from service.jobs.queue import QUEUES
from worker.app import app


def main() -> None:
    """Work until stopped."""
    parser = argparse.ArgumentParser(description="A Cinemo worker.")
    parser.add_argument("--queue", choices=QUEUES.values(), default=QUEUES["animate"], help="Whose jobs it runs.")
    queue = parser.parse_args().queue
    # Workers of one machine would else have one name, under which only one of them answers.
    name = f"{queue}-{os.getpid()}@%h"
    quiet = ["--without-mingle", "--without-gossip"]
    app.worker_main(["worker", "--loglevel", "INFO", *quiet, "--queues", queue, "--hostname", name])


if __name__ == "__main__":
    main()
