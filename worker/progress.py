"""How far a clip is, told after each denoising step."""

from typing import Any

import structlog

from cinemo_core import CinemoPipeline
from cinemo_core.pipeline import StepCallback
from service.errors import QueueUnavailable
from service.jobs.model import Job, Progress
from worker.outcome import require_held
from worker.parts import job_store

log = structlog.get_logger()


def step_reporter(job: Job, steps: int) -> StepCallback:
    """What a pipeline calls after each of `steps` steps; raises `Canceled` or `Overtaken` to stop it."""

    def report(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> dict[str, Any]:
        done = step + 1
        message = f"denoising step {done} of {steps}"
        progress = Progress(step=done, steps=steps, fraction=done / steps, message=message)
        try:
            require_held(job_store().report_progress(job, progress))
        except QueueUnavailable as error:
            # The work goes on without being watched; whether the job is still held is asked before it ends.
            log.warning("progress not reported", error=error.detail)
        return state

    return report
