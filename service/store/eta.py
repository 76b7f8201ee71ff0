"""Estimates how long jobs take, from moving averages by workload and size.

A duration has a part per step, which depends on the size, and a part outside the steps, so it can be estimated for any
number of steps. A job occupies its worker until the next one may start, which is before its own end, as it is stored
beside the next one's steps.
"""

import json
import math
from dataclasses import dataclass

from cinemo_spec.formats import DEFAULT_BOX, Size, video_size
from cinemo_spec.training import TrainConfig
from service.contract.record import Job, JobKind, JobMetrics
from service.contract.requests import AnimateRequest, EditRequest
from service.store.keys import MEASURED

WEIGHT = 0.2
"""Weight of a new value in the average, so that about the last dozen count."""
KEPT_SECONDS = 30 * 86_400
LONGEST_RETRY_SECONDS = 3600
DEFAULT_RETRY_SECONDS = 30


def workload_key(job: Job) -> str:
    """Key of the average durations of jobs whose steps cost as much as this one's."""
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
    """What else the duration depends on: the model's size, or the size and number of the video's frames.

    With `detail` `photo`, the model always works at its own number of pixels.
    """
    if request.detail == "off":
        return [request.width, request.height]
    width, height = video_size(photo or DEFAULT_BOX, request.width, request.height)
    # Sizes that differ by a fifth share a key, or each photo's aspect ratio would get its own.
    return [request.detail, request.video_frames, round(2 * math.log2(width * height))]


def kind_key(kind: JobKind) -> str:
    """Key of the average time for which jobs of a kind occupy a worker."""
    return MEASURED + kind


def steps_of(job: Job) -> int:
    return job.request.steps if isinstance(job.request, TrainConfig) else job.request.total_steps


@dataclass(frozen=True)
class Measurement:
    """A job's durations in milliseconds: per step, outside the steps, and until the next one could start."""

    step: float
    beside: float
    occupied: float


def measurement(job: Job, metrics: JobMetrics, occupied_ms: int | None) -> Measurement | None:
    """The durations of a job that has just succeeded; None if part of the work was done earlier or elsewhere."""
    if job.attempt != 1 or metrics.execution_ms is None or metrics.gpu_ms == 0:
        return None
    model_ms = metrics.execution_ms if metrics.gpu_ms is None else metrics.gpu_ms
    occupied = metrics.execution_ms if occupied_ms is None else occupied_ms
    return Measurement(model_ms / steps_of(job), metrics.execution_ms - model_ms, occupied)


@dataclass(frozen=True)
class QueueEstimate:
    """State of the queue before a job; durations are in milliseconds, None if nothing has been measured."""

    ahead: int
    """Jobs that run before it, the tenant's own and those of other tenants."""
    workers: int
    busy: int
    """Workers that a job of the kind occupies."""
    step: float | None
    beside: float | None
    occupied: float | None
    """Average over all jobs of the kind."""

    def until_start(self) -> float | None:
        """Milliseconds until a queued job starts; None without workers or measurements."""
        if not self.workers or self.occupied is None:
            return None
        to_leave = max(0, self.ahead + self.busy + 1 - self.workers)
        return to_leave * self.occupied / self.workers

    def run_time(self, job: Job) -> float | None:
        """Milliseconds that a worker needs for a job; None without measurements."""
        return None if self.step is None or self.beside is None else self.beside + self.step * steps_of(job)

    def until_end(self, job: Job) -> int | None:
        """Seconds until a queued job ends; None without workers or measurements."""
        start, run_time = self.until_start(), self.run_time(job)
        # Whole seconds, so that responses stay equal, and with them their ETags.
        return None if start is None or run_time is None else round((start + run_time) / 1000)

    @property
    def retry_after_seconds(self) -> int:
        """Seconds until the tenant's queue should be shorter by one."""
        if not self.workers or self.occupied is None:
            return DEFAULT_RETRY_SECONDS
        return round(min(max((self.ahead + 1) * self.occupied / self.workers / 1000, 1), LONGEST_RETRY_SECONDS))
