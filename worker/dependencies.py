"""What the tasks of a worker process work with, each made once, when it is first needed."""

from functools import cache

from cinemo_core.devices import device_of
from cinemo_core.sandbox.limits import MediaLimits
from service.storage import ObjectStore, open_request_storage, open_worker_storage
from service.storage.models import ModelRegistry
from service.store.connections import connect
from service.store.counters import Counters
from service.store.jobs import JobStore, open_job_store
from service.store.queue import JobQueue
from worker.app import settings
from worker.heartbeat import Heartbeat, make_heartbeat
from worker.lease import check_held


@cache
def job_store() -> JobStore:
    return open_job_store(settings)


@cache
def object_store() -> ObjectStore:
    """Tried again while it fails, until the job that runs is to stop."""
    return open_worker_storage(settings, check_held)


@cache
def tidying_store() -> ObjectStore:
    """The same storage for what can wait for another time, and for which no job should."""
    return open_request_storage(settings)


@cache
def media_limits() -> MediaLimits:
    """What decoding a client's video may take."""
    return MediaLimits(settings.media_memory_bytes, settings.media_seconds, settings.max_video_pixels)


@cache
def model_registry() -> ModelRegistry:
    return ModelRegistry(object_store())


@cache
def job_queue() -> JobQueue:
    return JobQueue(settings.broker)


@cache
def counters() -> Counters:
    return Counters(connect(settings.redis_url))


@cache
def heartbeat() -> Heartbeat:
    return make_heartbeat(settings, device=device_of(settings.device), model=settings.model)
