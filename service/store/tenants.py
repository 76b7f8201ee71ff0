"""Tenants, their limits, and their API keys, of which only hashes are stored."""

import hashlib
import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import redis
from pydantic import Field

from cinemo_spec.strict import StrictModel
from service.store.keys import KEYS, tenant_key
from service.store.scripts import RedisScripts, flatten

PREFIX = "cin"
NAME = r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"


class Scope(StrEnum):
    """Permissions of a key; reading the tenant's jobs needs none."""

    ANIMATE = "animate"
    TRAIN = "train"
    ADMIN = "admin"
    """Delete models, and everything else that concerns the key's own tenant."""
    OPERATOR = "operator"
    """Read the usage of all tenants."""


class Tenant(StrictModel):
    """A customer, a team or a product, with its limits; None is unlimited."""

    name: str = Field(pattern=NAME)
    weight: float = Field(1, gt=0, le=1000, description="Share of the workers, relative to other tenants' weights.")
    max_running: int | None = Field(None, ge=1, description="Maximum number of running jobs per kind; others wait.")
    max_waiting: int | None = Field(None, ge=0, description="Maximum number of queued jobs per kind.")
    max_records: int | None = Field(None, ge=1, description="Maximum number of job records; overrides the setting.")
    max_record_bytes: int | None = Field(
        None, ge=1, description="Maximum Redis bytes of those records; overrides the setting."
    )
    max_stored_bytes: int | None = Field(None, ge=1, description="Maximum bytes of files; overrides the setting.")
    monthly_device_seconds: int | None = Field(
        None, ge=0, description="Seconds on a device per month (UTC); overrides the setting."
    )
    monthly_cost: float | None = Field(None, ge=0, description="Cost per month; overrides the setting.")
    requests_per_minute: int | None = Field(
        None, ge=1, description="Requests that create jobs or uploads, or resend webhooks."
    )


class ApiKey(StrictModel):
    """A stored key, without its secret, which only its holder has."""

    id: str
    tenant: str
    scopes: frozenset[Scope]
    created_at: datetime


class Rate(StrictModel):
    """A tenant's rate limit after a request.

    Attributes:
        limit: requests per minute.
        remaining: how many are left.
        reset_seconds: until the full limit is available again.
        retry_seconds: until another request is allowed, if this one was not; else 0.
    """

    limit: int
    remaining: int
    reset_seconds: float
    retry_seconds: int


class TenantStore:
    """Tenants and keys in Redis. Every method raises `QueueUnavailable` if it does not respond."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = RedisScripts(client)

    def put(self, tenant: Tenant) -> None:
        """Create a tenant or replace its limits, atomically."""
        fields = tenant.model_dump(mode="json", exclude_none=True)
        key = tenant_key(tenant.name)
        self._redis.pipeline([("DEL", key), ("HSET", key, *flatten(fields))], together=True)

    def get(self, name: str) -> Tenant:
        """A tenant; one that was never created has no limits."""
        stored = self._redis.call("hgetall", tenant_key(name))
        fields: dict[str, Any] = {key.decode(): value.decode() for key, value in stored.items()}
        return Tenant.model_validate({**fields, "name": name}, extra="ignore")

    def create_key(self, tenant: str, scopes: frozenset[Scope]) -> tuple[ApiKey, str]:
        """Create a key; returns its record, and the key itself, which is not stored."""
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        token = f"{PREFIX}_{key_id}_{secret}"
        key = ApiKey(id=key_id, tenant=self.get(tenant).name, scopes=scopes, created_at=datetime.now(UTC))
        self._redis.call("hset", KEYS, digest(token), key.model_dump_json())
        return key, token

    def list_keys(self) -> list[ApiKey]:
        """All keys, oldest first."""
        found = [read_key(each) for each in self._redis.call("hvals", KEYS)]
        return sorted(found, key=lambda key: key.created_at)

    def revoke(self, key_id: str) -> bool:
        """Revoke a key, effective from the next request; False if it does not exist."""
        for hashed, stored in self._redis.call("hgetall", KEYS).items():
            if read_key(stored).id == key_id:
                return bool(self._redis.call("hdel", KEYS, hashed))
        return False


def read_key(stored: bytes | str) -> ApiKey:
    """Parse a stored key, ignoring fields that a newer version has added."""
    return ApiKey.model_validate_json(stored, extra="ignore")


def digest(token: str) -> str:
    """SHA-256; a token has 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()
