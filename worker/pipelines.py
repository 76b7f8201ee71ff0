"""The pipelines of a worker process that animates or edits."""

from dataclasses import asdict
from functools import cache
from typing import Any

import structlog
from celery.signals import worker_init

from cinemo_core import CinemoPipeline
from service.contract.problems import QueueUnavailable
from service.contract.record import Job
from service.contract.requests import ClipRequest
from service.store.cards import Cards
from service.store.connections import connect
from worker.app import settings
from worker.dependencies import model_registry
from worker.models import Pipelines

log = structlog.get_logger()


@cache
def pipelines() -> Pipelines:
    """The pipelines of this process."""
    return Pipelines(settings, model_registry())


def pipeline_of(job: Job) -> CinemoPipeline:
    """The pipeline of a job's model with the job's adapters."""
    assert isinstance(job.request, ClipRequest)
    return pipelines().get(job.model, job.tenant, job.request.adapters)


@worker_init.connect
def load_model(**_: Any) -> None:
    """Load the service's own model before taking the first job, so that no job waits for it."""
    card = asdict(pipelines().get(settings.model).card)
    try:
        Cards(connect(settings.redis_url)).publish(settings.model, card)
    except QueueUnavailable as problem:
        # Requests get the published model's defaults until another worker publishes the card.
        log.warning("model card not published", error=problem.detail)
