"""Jobs by the ten thousand: `python -m tests.faults.churn COUNT` creates and runs them without model or files.

It does all that an API and a worker do to a job's record, at full speed, and keeps each for `KEPT_SECONDS`.
"""

import sys
from dataclasses import replace
from datetime import UTC, datetime

import worker.run
from service.contract.record import Job, JobOutput, StoredVideo, new_job_id
from service.contract.requests import AnimateRequest
from service.store.connections import connect
from tests.faults.orders import INPUT_KEY, Orders
from tests.jobs import FILE, TIMINGS, JobStore
from worker.app import settings
from worker.lease import Lease
from worker.run import JobResult

KEPT_SECONDS = 5
VIDEO = StoredVideo(**FILE.model_dump(), width=2, height=2, frames=1, fps=8, seconds=0.125)
OUTPUT = JobOutput(video=VIDEO, poster=FILE, manifest=FILE)
PROMPT = Orders(number=0).model_dump_json()
REQUEST = AnimateRequest(prompt=PROMPT, seed=1, num_inference_steps=1, guidance_scale=1, model="tiny")


def do_nothing(job: Job, lease: Lease) -> JobResult:
    """The work of such a job."""
    return JobResult(OUTPUT, 1)


def main(count: int) -> None:
    store = JobStore(connect(settings.redis_url), replace(TIMINGS, retention=KEPT_SECONDS, data_retention=KEPT_SECONDS))
    vars(worker.run)["job_store"] = lambda: store
    for _ in range(count):
        store.submissions.create(
            Job(id=new_job_id(), created_at=datetime.now(UTC), input_key=INPUT_KEY, request=REQUEST)
        )
        worker.run.run_next("animate", do_nothing)


if __name__ == "__main__":
    main(int(sys.argv[1]))
