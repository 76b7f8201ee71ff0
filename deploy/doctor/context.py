"""What is examined: the settings, and the parts that they name, each opened when it is first looked at."""

import secrets
from dataclasses import dataclass, field
from functools import cached_property

import redis

from service.contract.settings import Settings
from service.storage import ObjectStore, open_object_store
from service.store.connections import connect

ANSWER_SECONDS = 10.0


@dataclass
class Context:
    """A service as its settings describe it; `loads_model` where its weights are to be read and run, too."""

    settings: Settings
    loads_model: bool = False
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    """In the names of all that is written for a check, so that two doctors do not meet."""

    @cached_property
    def redis(self) -> redis.Redis:
        """The Redis of job records."""
        return connect(self.settings.redis_url)

    @cached_property
    def storage(self) -> ObjectStore:
        """Asked once, where the service would ask again."""
        return open_object_store(self.settings, ANSWER_SECONDS, attempts=1)

    def key(self, name: str) -> str:
        """Where in the storage a check may write; all of it is deleted by the last one."""
        return f"doctor/{self.token}/{name}"
