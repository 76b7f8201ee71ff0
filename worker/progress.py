"""Reports a clip's progress, after each denoising step and while its frames get their detail."""

from collections.abc import Iterator
from typing import Any

from cinemo_core import CinemoPipeline
from cinemo_core.film import Film
from cinemo_core.media import Frames
from cinemo_core.pipeline import StepCallback
from service.contract.record import Job, Progress
from service.contract.requests import ClipRequest
from worker.finished_steps import FinishedSteps
from worker.lease import check_lease
from worker.preview import report_preview
from worker.preview_budget import PreviewBudget
from worker.reporting import report_progress

DETAIL_SHARE = 0.5
"""Share of the progress for detail and encoding: about half of the time that the built-in model takes for a clip of
1080x720 on a CPU, less for a smaller one.
"""
FRAME_REPORTS = 10
"""Reports during the frames, however long the video is."""


def step_reporter(job: Job) -> StepCallback:
    """A pipeline's step callback; raises like `report_progress` to stop it."""
    steps, share = steps_of(job), model_share(job)
    finished: FinishedSteps | None = None
    budget = PreviewBudget(steps)

    def report(pipe: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> dict[str, Any]:
        nonlocal finished, budget
        if finished is None or step == 0:
            # A retry with less memory begins again.
            finished, budget = FinishedSteps(pipe.device, steps), PreviewBudget(steps)
        done = finished.count(step + 1)
        message = f"denoising step {done} of {steps}"
        report_progress(job, Progress(step=done, steps=steps, fraction=share * done / steps, message=message))
        report_preview(job, step + 1, state, budget, pipe.device)
        return state

    return report


def report_frames(job: Job, film: Film) -> Iterator[Frames]:
    """Yield a film's frames and report progress; raises like `report_progress` to stop."""
    steps, share, frames = steps_of(job), model_share(job), len(film)
    every = max(1, frames // FRAME_REPORTS)
    for number, frame in enumerate(film, 1):
        check_lease()
        yield frame
        if share < 1 and (number % every == 0 or number == frames):
            fraction = share + (1 - share) * number / frames
            message = f"detail of frame {number} of {frames}"
            report_progress(job, Progress(step=steps, steps=steps, fraction=fraction, message=message))


def steps_of(job: Job) -> int:
    assert isinstance(job.request, ClipRequest)
    return job.request.total_steps


def model_share(job: Job) -> float:
    """The denoising steps' share of the progress."""
    assert isinstance(job.request, ClipRequest)
    return 1 if job.request.detail == "off" else 1 - DETAIL_SHARE
