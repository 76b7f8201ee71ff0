"""The pipelines of a worker process that animates or edits."""

from functools import cache
from typing import Any

from celery.signals import worker_init

from worker.app import settings
from worker.models import Pipelines
from worker.parts import model_registry


@cache
def pipelines() -> Pipelines:
    """Those of this process."""
    return Pipelines(settings, model_registry())


@worker_init.connect
def load_model(**_: Any) -> None:
    """Load the service's own model before the first job is taken, so that no job waits for it."""
    pipelines().get(settings.model)
