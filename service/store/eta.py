"""How long jobs take: means of what was measured, by what a job does and at which size, and what follows for others.

A time is so much a step, which the size decides, and so much beside the steps; so a number of steps never seen is
foretold from those that were.
"""

import json
import math
from dataclasses import dataclass

from cinemo_spec.formats import USUAL_BOX, Size, video_size
from cinemo_spec.training import TrainConfig
from service.contract.record import Job, JobKind, JobMetrics
from service.contract.requests import AnimateRequest, EditRequest
from service.store.keys import MEASURED

WEIGHT = 0.2
"""Of a new time in the mean, so that the last dozen or so count."""
KEPT_SECONDS = 30 * 86_400
LONGEST_RETRY_SECONDS = 3600
USUAL_RETRY_SECONDS = 30


def workload_key(job: Job) -> str:
    """The mean time of jobs whose steps cost as much as this one's."""
    request = job.request
    facts: list[object] = [job.kind, job.model]
    if isinstance(request, TrainConfig):
        facts += [request.data.width, request.data.height, request.data.frames, request.batch_size, request.precision]
    else:
        facts += [request.frames, *cost_of_video(request, job.input_size)]
    if isinstance(request, AnimateRequest):
        facts += [request.guidance_scale > 1, request.cache_interval]
    return MEASURED + json.dumps(facts, separators=(",", ":"))


def cost_of_video(request: AnimateRequest | EditRequest, photo: Size | None) -> list[object]:
    """What else the times depend on: the model's size, or how much of a video is made of its frames.

    With the photo's detail, the model always works at its own number of pixels.
    """
    if request.detail == "off":
        return [request.width, request.height]
    width, height = video_size(photo or USUAL_BOX, request.width, request.height)
    # Sizes that differ by a fifth cost about the same, so that each photo's shape is not one of its own.
    return [request.detail, request.video_frames, round(2 * math.log2(width * height))]


def kind_key(kind: JobKind) -> str:
    """The mean time of all jobs of a kind."""
    return MEASURED + kind


def steps_of(job: Job) -> int:
    return job.request.steps if isinstance(job.request, TrainConfig) else job.request.total_steps


@dataclass(frozen=True)
class Measurement:
    """Where the milliseconds of a job went."""

    step: float
    beside: float
    whole: float


def measurement(job: Job, metrics: JobMetrics) -> Measurement | None:
    """What a job that has just succeeded tells; None where a part of it was done earlier or by another."""
    if job.attempt != 1 or metrics.execution_ms is None or metrics.gpu_ms == 0:
        return None
    model_ms = metrics.execution_ms if metrics.gpu_ms is None else metrics.gpu_ms
    return Measurement(model_ms / steps_of(job), metrics.execution_ms - model_ms, metrics.execution_ms)


@dataclass(frozen=True)
class QueueEstimate:
    """How things stand before a tenant's next job: times in milliseconds, None where nothing was measured."""

    ahead: int
    """Jobs that are taken before it, the tenant's own and those of others whose turn comes in between."""
    workers: int
    busy: int
    """Of the workers, those that run a job of the kind."""
    step: float | None
    beside: float | None
    whole: float | None
    """Of any job of the kind."""

    def until_start(self) -> float | None:
        """Milliseconds to a waiting job's start; None where no worker lives, or none has done a job of the kind."""
        if not self.workers or self.whole is None:
            return None
        to_finish = max(0, self.ahead + self.busy + 1 - self.workers)
        return to_finish * self.whole / self.workers

    def run_time(self, job: Job) -> float | None:
        """Milliseconds that a worker takes for a job; None where none has done such a job."""
        return None if self.step is None or self.beside is None else self.beside + self.step * steps_of(job)

    def until_end(self, job: Job) -> int | None:
        """Seconds to a waiting job's end; None where no worker lives, or none has done such a job."""
        start, run_time = self.until_start(), self.run_time(job)
        # Whole seconds, so that an answer that says the same stays the same.
        return None if start is None or run_time is None else round((start + run_time) / 1000)

    @property
    def retry_after_seconds(self) -> int:
        """When the tenant's queue should be shorter by one."""
        if not self.workers or self.whole is None:
            return USUAL_RETRY_SECONDS
        return round(min(max((self.ahead + 1) * self.whole / self.workers / 1000, 1), LONGEST_RETRY_SECONDS))
