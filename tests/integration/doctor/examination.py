"""Runs some of the doctor's checks in this process."""

from typing import Any

import redis

from deploy.doctor.checks import CHECKS, run_checks
from deploy.doctor.context import Context
from deploy.doctor.result import Finding
from service.contract.settings import Settings


def found(settings: Settings, *names: str, loads_model: bool = False) -> dict[str, Finding]:
    """The findings of these checks and of those that they need."""
    needed = {check.needs for check in CHECKS if check.name in names}
    chosen = tuple(check for check in CHECKS if check.name in needed | set(names))
    return {finding.check: finding for finding in run_checks(Context(settings, loads_model), chosen)}


def settings_for(client: redis.Redis, login: str = "", **others: Any) -> Settings:
    port = client.connection_pool.connection_kwargs["port"]
    known = {"redis_url": f"redis://{login}127.0.0.1:{port}/0", "storage_url": "s3://none", **others}
    return Settings(**known)
