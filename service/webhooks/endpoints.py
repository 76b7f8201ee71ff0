"""A tenant's endpoints, and the secrets that its webhooks are signed with."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from service.contract.deliveries import Endpoint, Secret
from service.contract.requests import FINAL_EVENTS
from service.store.keys import WEBHOOK_NAMES, secrets_key
from service.store.scripts import Scripts
from service.webhooks.sign import new_secret

OVERLAP_SECONDS = 86_400
MAX_SECRETS = 10


class EndpointStore(Scripts):
    """Endpoints and secrets in Redis. Every method raises `QueueUnavailable` where it does not answer."""

    def add(self, tenant: str, url: str, events: Sequence[str] = FINAL_EVENTS) -> Endpoint:
        """Have a URL told of these events of all jobs of a tenant from now on.

        Raises:
            pydantic.ValidationError: there is no such event.
        """
        fields = {"id": f"ep_{secrets.token_hex(6)}", "url": url, "created_at": self._now()}
        endpoint = Endpoint.model_validate({**fields, "events": tuple(events)})
        self._call("hset", endpoints_key(tenant), endpoint.id, endpoint.model_dump_json())
        return endpoint

    def of_tenant(self, tenant: str) -> list[Endpoint]:
        """A tenant's endpoints, the oldest first."""
        stored = self._call("hvals", endpoints_key(tenant))
        return sorted(map(read_endpoint, stored), key=lambda endpoint: endpoint.created_at)

    def enable(self, tenant: str, endpoint_id: str) -> bool:
        """Tell an endpoint again that was disabled; False where there is none."""
        return bool(self._run("enable_endpoint", [endpoints_key(tenant)], [endpoint_id]))

    def remove(self, tenant: str, endpoint_id: str) -> bool:
        """Send an endpoint nothing more, not even what waits; False where there is none."""
        return bool(self._call("hdel", endpoints_key(tenant), endpoint_id))

    def secrets(self, tenant: str, now: datetime | None = None) -> list[str]:
        """What a tenant's webhooks are signed with, the newest first; made when first asked for."""
        found = self._secrets(tenant, 0, only_first=True)
        now = now or self._now()
        signing = found[:1]
        for newer, older in pairwise(found):
            if newer.created_at + timedelta(seconds=newer.overlap_seconds) <= now:
                break
            signing.append(older)
        return [each.secret for each in signing]

    def has_secret(self, tenant: str) -> bool:
        """Whether a tenant's secret has been made, as it is when somebody asks for it or a webhook is sent."""
        return bool(self._call("exists", secrets_key(tenant)))

    def rotate(self, tenant: str, overlap_seconds: int = OVERLAP_SECONDS) -> str:
        """Sign with a new secret from now on, and with those of now for some seconds more; returns the new one."""
        self._secrets(tenant, 0, only_first=True)
        return self._secrets(tenant, overlap_seconds)[0].secret

    def _secrets(self, tenant: str, overlap_seconds: int, only_first: bool = False) -> list[Secret]:
        new = Secret(secret=new_secret(), created_at=self._now(), overlap_seconds=overlap_seconds)
        arguments = [new.model_dump_json(), "first" if only_first else "", MAX_SECRETS]
        stored = self._run("add_secret", [secrets_key(tenant)], arguments)
        return [Secret.model_validate_json(each, extra="ignore") for each in stored]


def read_endpoint(stored: bytes) -> Endpoint:
    """An endpoint as it is kept; what a newer version has added is passed over."""
    return Endpoint.model_validate_json(stored, extra="ignore")


def endpoints_key(tenant: str) -> str:
    return WEBHOOK_NAMES["endpoints"] + tenant
