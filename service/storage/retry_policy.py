"""A storage that retries failed calls of another for a limited time.

Every failure except a missing object is retried: servers restart, networks recover, credentials and policies get fixed.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from service.contract.problems import StorageUnavailable
from service.storage.base import ObjectStore, StoredObject, never_interrupt, transfer_check

T = TypeVar("T")
log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
CHECK_SECONDS = 0.25
"""Time between interrupt checks during a pause."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long to retry a failing storage."""

    retry_seconds: float
    """No attempt starts later than this after the first failure."""
    limit_seconds: float = float("inf")
    """Time limit of an operation, after which even a transfer in progress is aborted."""


@dataclass(frozen=True)
class RetryingStore:
    """Retries calls to `store`; `interrupt`, called between attempts and in pauses and transfers, raises to stop it."""

    store: ObjectStore
    policy: RetryPolicy
    interrupt: Callable[[], None] = never_interrupt

    def put_file(self, key: str, path: Path, content_type: str) -> StoredObject:
        return self._retry(key, lambda: self.store.put_file(key, path, content_type))

    def put_bytes(self, key: str, data: bytes, content_type: str) -> None:
        self._retry(key, lambda: self.store.put_bytes(key, data, content_type))

    def get_bytes(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return self._retry(key, lambda: self.store.get_bytes(key, start, length))

    def get_file(self, key: str, path: Path) -> None:
        return self._retry(key, lambda: self.store.get_file(key, path))

    def list(self, prefix: str, most: int | None = None) -> dict[str, int]:
        return self._retry(prefix, lambda: self.store.list(prefix, most))

    def delete(self, prefix: str) -> None:
        return self._retry(prefix, lambda: self.store.delete(prefix))

    def head(self, key: str) -> StoredObject | None:
        return self._retry(key, lambda: self.store.head(key))

    @property
    def public_url(self) -> str:
        return self.store.public_url

    def presign(self, key: str, expires_seconds: int) -> str:
        """Needs no call to the server, so no retries."""
        return self.store.presign(key, expires_seconds)

    def presign_put(self, key: str, content_type: str, size_bytes: int, expires_seconds: int) -> str | None:
        """Needs no call to the server, either."""
        return self.store.presign_put(key, content_type, size_bytes, expires_seconds)

    def copy(self, key: str, target: str) -> StoredObject:
        return self._retry(key, lambda: self.store.copy(key, target))

    def check(self) -> None:
        """Check the storage once, without retries."""
        self.store.check()

    def _retry(self, key: str, operation: Callable[[], T]) -> T:
        started = time.monotonic()

        def check() -> None:
            self.interrupt()
            if time.monotonic() - started > self.policy.limit_seconds:
                raise StorageUnavailable(f"the storage took more than {self.policy.limit_seconds:g} seconds")

        token = transfer_check.set(check)
        try:
            return self._attempt(key, operation, check)
        finally:
            transfer_check.reset(token)

    def _attempt(self, key: str, operation: Callable[[], T], check: Callable[[], None]) -> T:
        deadline, attempts = None, 0
        while True:
            try:
                return operation()
            except StorageUnavailable as error:
                # If the check aborted the transfer, raise its reason instead.
                check()
                attempts += 1
                deadline = deadline or time.monotonic() + self.policy.retry_seconds
                seconds = pause(attempts)
                if time.monotonic() + seconds > deadline:
                    raise
                log.warning("retrying storage", key=key, attempts=attempts, pause=round(seconds, 2), error=str(error))
                sleep(seconds, check)


def pause(attempts: int) -> float:
    """Seconds before the next attempt: exponential with full jitter, so that workers don't retry all at once."""
    return random.uniform(0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempts))


def sleep(seconds: float, check: Callable[[], None]) -> None:
    """Sleep, calling `check`, which may raise, every `CHECK_SECONDS`."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, CHECK_SECONDS))
        check()
