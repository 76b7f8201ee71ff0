"""The pipelines of a worker process that animates or edits."""

from dataclasses import asdict
from functools import cache
from typing import Any

import structlog
from celery.signals import worker_init

from service.contract.problems import QueueUnavailable
from service.store.cards import Cards
from service.store.connections import connect
from worker.app import settings
from worker.dependencies import model_registry
from worker.models import Pipelines

log = structlog.get_logger()


@cache
def pipelines() -> Pipelines:
    """Those of this process."""
    return Pipelines(settings, model_registry())


@worker_init.connect
def load_model(**_: Any) -> None:
    """Load the service's own model before the first job is taken, so that no job waits for it."""
    card = asdict(pipelines().get(settings.model).card)
    try:
        Cards(connect(settings.redis_url)).tell(settings.model, card)
    except QueueUnavailable as problem:
        # Requests that leave numbers open get the published habits until another worker tells of the model.
        log.warning("card of the model not told", error=problem.detail)
