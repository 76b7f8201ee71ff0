"""What the checks work with: the settings, and the connections that they configure, each opened on first use."""

import secrets
from dataclasses import dataclass, field
from functools import cached_property

import redis

from service.contract.settings import Settings
from service.storage import ObjectStore, open_object_store
from service.store.connections import connect

TIMEOUT_SECONDS = 10.0


@dataclass
class Context:
    """A service as its settings describe it; with `loads_model`, its weights are loaded and run, too."""

    settings: Settings
    loads_model: bool = False
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    """Part of the names of everything that checks write, so that two doctors don't interfere."""

    @cached_property
    def redis(self) -> redis.Redis:
        """The Redis of job records."""
        return connect(self.settings.redis_url)

    @cached_property
    def storage(self) -> ObjectStore:
        """The storage, without the service's retries."""
        return open_object_store(self.settings, TIMEOUT_SECONDS, attempts=1)

    def key(self, name: str) -> str:
        """A key in the storage for a check to write; the check `storage.deletion` deletes all of them."""
        return f"doctor/{self.token}/{name}"
