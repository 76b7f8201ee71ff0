"""Lookups that nearly every request makes, on the event loop: its API key and its job."""

from service.contract.problems import RateLimited
from service.contract.record import Job
from service.store.async_scripts import AsyncScripts
from service.store.keys import KEYS, tenant_key
from service.store.queries import parse_record, read_request
from service.store.tenants import ApiKey, Rate, digest, read_key


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
        _, *record = await self._redis.run("read", *read_request(job_id))
        return parse_record(record)

    async def api_key_and_job(self, token: str, job_id: str) -> tuple[ApiKey | None, Job | None]:
        """Both in one round trip; no job if the key is unknown."""
        key, *record = await self._redis.run("read", *read_request(job_id, digest(token)))
        return read_key(key) if key else None, parse_record(record)

    async def count_request(self, tenant: str) -> Rate | None:
        """Count a request against the rate limit; None if the tenant has none.

        Raises:
            RateLimited: the limit is exceeded.
        """
        key = tenant_key(tenant)
        counted = await self._redis.run("rate", {"rate": f"{key}:rate", "tenant": key}, {"period_ms": 60_000})
        if counted is None:
            return None
        limit, allowed, remaining, reset_ms, retry_ms = counted
        if not allowed:
            raise RateLimited(f"{limit} requests a minute are allowed", retry_after=max(1, -(-retry_ms // 1000)))
        return Rate(limit=limit, remaining=remaining, reset_seconds=reset_ms / 1000)
