"""Run a worker: `python -m worker`."""

from worker.app import app

if __name__ == "__main__":
    app.worker_main(["worker", "--loglevel", "INFO", "--without-mingle", "--without-gossip"])
