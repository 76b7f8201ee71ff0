"""How far a clip is, told after each denoising step."""

from typing import Any

from cinemo_core import CinemoPipeline
from cinemo_core.pipeline import StepCallback
from service.jobs.model import Job, Progress
from worker.reporting import report_progress


def step_reporter(job: Job, steps: int) -> StepCallback:
    """What a pipeline calls after each of `steps` steps; raises as `report_progress` to stop it."""

    def report(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> dict[str, Any]:
        done = step + 1
        message = f"denoising step {done} of {steps}"
        progress = Progress(step=done, steps=steps, fraction=done / steps, message=message)
        report_progress(job, progress)
        return state

    return report
