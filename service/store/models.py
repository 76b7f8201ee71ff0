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
        """Keep new jobs from a model; False where one that has not ended uses it, or a training publishes it."""
        keys = {
            "model_users": model_users_key(tenant, model),
            "deleted_model": deleted_model_key(tenant, model),
            "model_publisher": model_publisher_key(tenant, model),
        }
        return bool(self._redis.run("delete_model", keys, {"jobs": JOB, "held": dict.fromkeys(HELD, True)}) == 1)

    def is_deleted(self, tenant: str, model: str) -> bool:
        """Whether a model has been deleted, if not all of its files yet, and not published again."""
        return bool(self._redis.call("exists", deleted_model_key(tenant, model)))

    @contextmanager
    def publishing(self, job: Job, model: str) -> Iterator[None]:
        """Keep a model from being deleted while a running job publishes it, and let jobs use it though it was deleted.

        A job that dies meanwhile no longer runs, which ends this, too.
        """
        publisher = model_publisher_key(job.tenant, model)
        self._redis.call("set", publisher, job.id, ex=PUBLISHING_SECONDS)
        self._redis.call("delete", deleted_model_key(job.tenant, model))
        yield
        self._redis.call("delete", publisher)
