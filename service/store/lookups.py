"""Lookups that nearly every request makes, on the event loop: its API key and its job."""

from collections.abc import Sequence

from service.contract.record import Job
from service.store.async_scripts import AsyncScripts
from service.store.keys import KEYS, TENANT, tenant_key
from service.store.queries import parse_reply, read_request
from service.store.tenants import ApiKey, Rate, Scope, digest, read_key

PERIOD_MS = 60_000


class Lookups:
    """Every method raises `QueueUnavailable` if Redis does not respond."""

    def __init__(self, scripts: AsyncScripts) -> None:
        self._redis = scripts

    async def api_key(self, token: str) -> ApiKey | None:
        """The key for a token, or None."""
        stored = await self._redis.execute(self._redis.client.hget, KEYS, digest(token))
        return read_key(stored) if stored else None

    async def job(self, job_id: str) -> Job | None:
        """The job as `JobQueries.get` returns it; raises `RecordUnreadable` likewise."""
        _, job = parse_reply(await self._redis.run("read", *read_request(job_id)))
        return job

    async def api_key_and_job(self, token: str, job_id: str) -> tuple[ApiKey | None, Job | None]:
        """Both in one round trip; no job if the key is unknown."""
        key, job = parse_reply(await self._redis.run("read", *read_request(job_id, digest(token))))
        return read_key(key) if key else None, job

    async def api_key_and_rate(self, token: str, scopes: Sequence[str]) -> tuple[ApiKey | None, Rate | None]:
        """The key for a token, and the rate after this request; it only counts if the key has the scopes."""
        args = {"token": digest(token), "scopes": scopes, "all": Scope.ADMIN, "tenants": TENANT, "period_ms": PERIOD_MS}
        key, counted = await self._redis.run("caller", {"api_keys": KEYS}, args)
        return read_key(key) if key else None, parse_rate(counted)

    async def count_request(self, tenant: str) -> Rate | None:
        """Count a request against the rate limit, and return the rate; None if the tenant has no limit."""
        key = tenant_key(tenant)
        keys = {"rate": f"{key}:rate", "tenant": key}
        return parse_rate(await self._redis.run("rate", keys, {"period_ms": PERIOD_MS}))


def parse_rate(counted: list[int] | None) -> Rate | None:
    """The rate that a script returned."""
    if counted is None:
        return None
    limit, allowed, remaining, reset_ms, retry_ms = counted
    retry_seconds = 0 if allowed else max(1, -(-retry_ms // 1000))
    return Rate(limit=limit, remaining=remaining, reset_seconds=reset_ms / 1000, retry_seconds=retry_seconds)
