"""A tenant's webhook endpoints and signing secrets."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import redis

from service.contract.deliveries import Endpoint, Secret
from service.contract.requests import FINAL_EVENTS
from service.store.keys import WEBHOOK_NAMES, secrets_key
from service.store.scripts import RedisScripts
from service.webhooks.sign import new_secret

OVERLAP_SECONDS = 86_400
MAX_SECRETS = 10


class EndpointStore:
    """Endpoints and secrets in Redis. Every method raises `QueueUnavailable` if Redis is unavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = RedisScripts(client)

    def add(self, tenant: str, url: str, events: Sequence[str] = FINAL_EVENTS) -> Endpoint:
        """Send these events of all of a tenant's jobs to a URL from now on.

        Raises:
            pydantic.ValidationError: an event is unknown.
        """
        fields = {"id": f"ep_{secrets.token_hex(6)}", "url": url, "created_at": self._redis.now()}
        endpoint = Endpoint.model_validate({**fields, "events": tuple(events)})
        self._redis.call("hset", endpoints_key(tenant), endpoint.id, endpoint.model_dump_json())
        return endpoint

    def of_tenant(self, tenant: str) -> list[Endpoint]:
        """A tenant's endpoints, oldest first."""
        stored = self._redis.call("hvals", endpoints_key(tenant))
        return sorted(map(read_endpoint, stored), key=lambda endpoint: endpoint.created_at)

    def enable(self, tenant: str, endpoint_id: str) -> bool:
        """Enable a disabled endpoint; False if it does not exist."""
        return bool(self._redis.run("enable_endpoint", {"endpoints": endpoints_key(tenant)}, {"id": endpoint_id}))

    def remove(self, tenant: str, endpoint_id: str) -> bool:
        """Remove an endpoint and drop its pending deliveries; False if it does not exist."""
        return bool(self._redis.call("hdel", endpoints_key(tenant), endpoint_id))

    def secrets(self, tenant: str, now: datetime | None = None) -> list[str]:
        """The secrets that sign a tenant's webhooks, newest first; the first call creates one."""
        found = self._secrets(tenant, 0, only_first=True)
        now = now or self._redis.now()
        signing = found[:1]
        for newer, older in pairwise(found):
            if newer.created_at + timedelta(seconds=newer.overlap_seconds) <= now:
                break
            signing.append(older)
        return [each.secret for each in signing]

    def has_secret(self, tenant: str) -> bool:
        """Whether a tenant has a secret, which its first webhook or the first request for it creates."""
        return bool(self._redis.call("exists", secrets_key(tenant)))

    def rotate(self, tenant: str, overlap_seconds: int = OVERLAP_SECONDS) -> str:
        """Create and return a new secret; webhooks are also signed with the old ones for `overlap_seconds`."""
        self._secrets(tenant, 0, only_first=True)
        return self._secrets(tenant, overlap_seconds)[0].secret

    def _secrets(self, tenant: str, overlap_seconds: int, only_first: bool = False) -> list[Secret]:
        new = Secret(secret=new_secret(), created_at=self._redis.now(), overlap_seconds=overlap_seconds)
        args = {"secret": new.model_dump_json(), "only_first": only_first, "kept": MAX_SECRETS}
        stored = self._redis.run("add_secret", {"secrets": secrets_key(tenant)}, args)
        return [Secret.model_validate_json(each, extra="ignore") for each in stored]


def read_endpoint(stored: bytes) -> Endpoint:
    """Parse a stored endpoint, ignoring fields added by newer versions."""
    return Endpoint.model_validate_json(stored, extra="ignore")


def endpoints_key(tenant: str) -> str:
    return WEBHOOK_NAMES["endpoints"] + tenant
