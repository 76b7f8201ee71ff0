"""How far a clip is, told after each denoising step, then while its frames get their detail."""

from collections.abc import Iterator
from typing import Any

from cinemo_core import CinemoPipeline
from cinemo_core.film import Film
from cinemo_core.media import Frames
from cinemo_core.pipeline import StepCallback
from service.contract.record import Job, Progress
from service.contract.requests import ClipRequest
from worker.lease import check_held
from worker.reporting import report_progress

DETAIL_SHARE = 0.5
"""Of the whole, what detail and encoding count for: some half of the time that the built-in model's clip of 1080x720
takes on a CPU, less of a smaller one.
"""
REPORTS = 10
"""Of the frames, so that a long video makes no more of them than a short one."""


def step_reporter(job: Job) -> StepCallback:
    """What a pipeline calls after each step; raises as `report_progress` to stop it."""
    steps, share = steps_of(job), model_share(job)

    def report(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> dict[str, Any]:
        done = step + 1
        message = f"denoising step {done} of {steps}"
        report_progress(job, Progress(step=done, steps=steps, fraction=share * done / steps, message=message))
        return state

    return report


def reported(job: Job, film: Film) -> Iterator[Frames]:
    """The frames of a film, told of as they are made; raises as `report_progress` to stop."""
    steps, share, frames = steps_of(job), model_share(job), len(film)
    every = max(1, frames // REPORTS)
    for number, frame in enumerate(film, 1):
        check_held()
        yield frame
        if share < 1 and (number % every == 0 or number == frames):
            fraction = share + (1 - share) * number / frames
            message = f"detail of frame {number} of {frames}"
            report_progress(job, Progress(step=steps, steps=steps, fraction=fraction, message=message))


def steps_of(job: Job) -> int:
    assert isinstance(job.request, ClipRequest)
    return job.request.total_steps


def model_share(job: Job) -> float:
    """Of the work, what the denoising steps are."""
    assert isinstance(job.request, ClipRequest)
    return 1 if job.request.detail == "off" else 1 - DETAIL_SHARE
