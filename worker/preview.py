"""Previews of a clip while the model runs, if the client asked for them."""

import math
from typing import Any

import structlog
import torch

from cinemo_core.preview import encode_preview
from cinemo_spec.formats import DEFAULT_FPS
from service.contract.problems import QueueUnavailable
from service.contract.record import Job
from service.contract.requests import AnimateRequest, EditRequest
from service.contract.views import job_url
from worker.app import settings
from worker.dependencies import job_store
from worker.marks import may_be_seen_early, source_of
from worker.outcome import LeaseLost
from worker.preview_budget import PreviewBudget

log = structlog.get_logger()

MAX_PREVIEWS = 4
"""Per job, evenly spaced; fewer if the budget doesn't allow them."""


def report_preview(job: Job, done: int, state: dict[str, Any], budget: PreviewBudget, device: torch.device) -> None:
    """Report a preview after some of the steps, but not after the last, as the video itself follows.

    Call it after each step, as the budget follows from their time.

    Raises:
        LeaseLost: another attempt holds the job.
    """
    request = job.request
    assert isinstance(request, AnimateRequest | EditRequest)
    steps = request.total_steps
    if not job.options.preview or not may_be_seen_early(settings) or "preview" not in state:
        return
    affordable = budget.allows(done)
    if done == steps or done % math.ceil(steps / (MAX_PREVIEWS + 1)) or not affordable:
        return
    if device.type == "cuda":
        # A preview waits for the steps that the device has been given; that takes no time from it.
        torch.cuda.synchronize(device)
    seconds = request.total_frames / (request.fps or DEFAULT_FPS)
    with budget.spend():
        webp = encode_preview(state["preview"](), seconds, source_of(job.kind, settings.marking))
    event: dict[str, object] = {"step": done, "steps": steps, "url": f"{job_url(job.id, settings)}/preview"}
    try:
        if not job_store().previews.put(job, webp, event):
            raise LeaseLost
    except QueueUnavailable as error:
        log.warning("preview not reported", error=str(error))
