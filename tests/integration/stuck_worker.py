"""Workers whose jobs do what their prompt says, one of the functions below; one process per argument.

Run as `python -m tests.integration.stuck_worker COUNT`, with the settings of a worker in the environment. Each process
takes one job, and another where the first leaves the device. Prompts and exit codes, which are those of workers, come
as JSON objects by process.
"""

import ctypes
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

import torch
from celery.worker import state

from service.contract.record import Job, Progress
from service.contract.requests import AnimateRequest
from worker import lifecycle
from worker.job_threads import job_threads
from worker.lease import Lease
from worker.outcome import Released
from worker.reporting import report_progress
from worker.run import run_next

FOR_EVER_SECONDS = 3600
HEAD_START_SECONDS = 1.5
MOMENT_SECONDS = 0.5
"""Less than a job that is stuck has after its time limit, so that the limit of the one beside it passes first."""


def stand_still(job: Job, lease: Lease) -> NoReturn:
    """A call into C that does not return."""
    ctypes.CDLL(None).sleep(FOR_EVER_SECONDS)
    raise AssertionError("it ended")


def keep_the_lock(job: Job, lease: Lease) -> NoReturn:
    """The same, without letting any other Python thread run."""
    ctypes.PyDLL(None).sleep(FOR_EVER_SECONDS)
    raise AssertionError("it ended")


def keep_the_lock_for_a_while(job: Job, lease: Lease) -> NoReturn:
    """Like a long call of a decoder: longer than the renewal interval, but shorter than the lease."""
    ctypes.PyDLL(None).sleep(2)
    lease.check()
    raise Released


def take_too_long(job: Job, lease: Lease) -> NoReturn:
    """Run step after step."""
    for step in range(FOR_EVER_SECONDS):
        report_progress(job, Progress(step=step, steps=FOR_EVER_SECONDS, fraction=0, message=""))
        time.sleep(0.1)
    raise AssertionError("it ended")


def lose_the_device(job: Job, lease: Lease) -> NoReturn:
    """Raise what PyTorch raises for CUDA errors other than running out of memory."""
    raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


def finish_for_ever(job: Job, lease: Lease) -> NoReturn:
    """Leave the device to another job, whose time is up later, and stand still."""
    time.sleep(HEAD_START_SECONDS)
    job_threads.leave_device(lambda: None, lambda: None)
    stand_still(job, lease)


def finish_for_ever_soon(job: Job, lease: Lease) -> NoReturn:
    """The same, but the other job's time would be up before this process ends."""
    time.sleep(MOMENT_SECONDS)
    job_threads.leave_device(lambda: None, lambda: None)
    stand_still(job, lease)


def wait_for_the_other(job: Job, lease: Lease) -> NoReturn:
    """Have no more use for the device at once."""
    job_threads.leave_device(lambda: None, lambda: None)
    raise AssertionError("the other has finished")


def fill_the_disk(job: Job, lease: Lease) -> NoReturn:
    """Write to the one file of Linux that never has any space left."""
    Path("/dev/full").write_bytes(b"frames")
    raise AssertionError("there was room")


all_taken = multiprocessing.get_context("fork").Barrier(int(sys.argv[1]))
"""Each process takes a job of its own before one is put back."""

FUNCTIONS = (
    stand_still,
    keep_the_lock,
    keep_the_lock_for_a_while,
    take_too_long,
    lose_the_device,
    finish_for_ever,
    finish_for_ever_soon,
    wait_for_the_other,
    fill_the_disk,
)
BESIDE = "take_too_long_beside"
SECOND = (BESIDE, wait_for_the_other.__name__)
"""Jobs that a process takes after its first one."""
WORK = {**{each.__name__: each for each in FUNCTIONS}, BESIDE: take_too_long}


def work(job: Job, lease: Lease) -> NoReturn:
    assert isinstance(job.request, AnimateRequest)
    prompt = str(job.request.prompt)
    if prompt not in SECOND:
        all_taken.wait()
    # Its name goes first, as the process may not live to say it later.
    report(os.getpid(), prompt)
    WORK[prompt](job, lease)


def report(process: int, what: str | int) -> None:
    """Write a line at once, so that it does not mix with others', as `print` may."""
    os.write(sys.stdout.fileno(), f"\n{json.dumps({str(process): what})}\n".encode())


def run_one() -> NoReturn:
    """The whole run of one process."""
    lifecycle.start()
    run_next("animate", work)
    if job_threads.slot.locked():
        run_next("animate", work)
    os._exit(state.should_stop or 0)


def main() -> None:
    """Start the processes, once everything is loaded, and wait for them."""
    started = []
    for _ in range(int(sys.argv[1])):
        child = os.fork()
        if child == 0:
            run_one()
        started.append(child)
    for child in started:
        _, status = os.waitpid(child, 0)
        report(child, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
