"""The dependencies of a worker process's tasks, each created once, on first use."""

from functools import cache

from cinemo_core.devices import device_of
from cinemo_core.sandbox.limits import MediaLimits
from service.storage import ObjectStore, open_request_storage, open_worker_storage
from service.storage.models import ModelRegistry
from service.store.connections import connect
from service.store.counters import Counters
from service.store.queue import JobQueue
from service.store.worker_jobs import WorkerJobs, open_worker_jobs
from worker.app import settings
from worker.heartbeat import Heartbeat, make_heartbeat
from worker.lease import check_lease
from worker.signing_key import signing_state


@cache
def job_store() -> WorkerJobs:
    return open_worker_jobs(settings)


@cache
def object_store() -> ObjectStore:
    """The storage, with retries until the running job must stop."""
    return open_worker_storage(settings, check_lease)


@cache
def cleanup_store() -> ObjectStore:
    """The storage, with few retries, for cleanup, which can be done later and should delay no job."""
    return open_request_storage(settings)


@cache
def media_limits() -> MediaLimits:
    """Limits for decoding a client's video."""
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
    return make_heartbeat(settings, device_of(settings.device), settings.model, signing_state)
