"""Marks of deleted models; a model that an unfinished job uses or publishes can't be deleted."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.contract.record import Job
from service.contract.states import HELD
from service.store.keys import JOB, deleted_model_key, model_publisher_key, model_users_key
from service.store.scripts import RedisScripts

PUBLISHING_SECONDS = 86_400


class ModelMarks:
    """Marks models as deleted, or as being published."""

    def __init__(self, scripts: RedisScripts) -> None:
        self._redis = scripts

    def delete(self, tenant: str, model: str) -> bool:
        """Mark a model as deleted, so that new jobs can't use it; False if it is in use or being published."""
        keys = {
            "model_users": model_users_key(tenant, model),
            "deleted_model": deleted_model_key(tenant, model),
            "model_publisher": model_publisher_key(tenant, model),
        }
        return bool(self._redis.run("delete_model", keys, {"jobs": JOB, "held": dict.fromkeys(HELD, True)}) == 1)

    def is_deleted(self, tenant: str, model: str) -> bool:
        """Whether a model has been deleted, even if some files remain, and not published again."""
        return bool(self._redis.call("exists", deleted_model_key(tenant, model)))

    def restore(self, tenant: str, model: str) -> None:
        """Let jobs use a model again whose deletion was called off."""
        self._redis.call("delete", deleted_model_key(tenant, model))

    @contextmanager
    def publishing(self, job: Job, model: str) -> Iterator[None]:
        """Prevent deletion of a model while a running job publishes it, and allow its use if it was deleted before.

        This also ends when the job no longer runs.
        """
        publisher = model_publisher_key(job.tenant, model)
        self._redis.call("set", publisher, job.id, ex=PUBLISHING_SECONDS)
        self._redis.call("delete", deleted_model_key(job.tenant, model))
        yield
        self._redis.call("delete", publisher)
