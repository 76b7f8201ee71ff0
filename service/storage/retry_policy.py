"""A storage that is asked again while it fails, for a stated time; what is asked, the storage behind it does.

Every failure but a missing object counts as one that may pass: servers restart, networks heal, credentials and policies
are mended.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from service.contract.problems import StorageUnavailable
from service.storage.base import ObjectStore, StoredObject, nobody_minds, watch

T = TypeVar("T")
log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
SLICE_SECONDS = 0.25
"""How long a pause lasts before it asks again whether to go on."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long a failing storage is tried again."""

    retry_seconds: float
    """No try begins later than this after the first failure."""
    limit_seconds: float = float("inf")
    """Of a whole operation, however well it goes: a slow transfer is broken off."""


@dataclass(frozen=True)
class PatientStore:
    """`interrupt` is asked between tries, in pauses and now and then in transfers; it raises where work is to stop."""

    store: ObjectStore
    policy: RetryPolicy
    interrupt: Callable[[], None] = nobody_minds

    def put_file(self, key: str, path: Path, content_type: str) -> StoredObject:
        return self._patiently(key, lambda: self.store.put_file(key, path, content_type))

    def put_bytes(self, key: str, data: bytes, content_type: str) -> StoredObject:
        return self._patiently(key, lambda: self.store.put_bytes(key, data, content_type))

    def get_bytes(self, key: str, start: int = 0, length: int | None = None) -> bytes:
        return self._patiently(key, lambda: self.store.get_bytes(key, start, length))

    def get_file(self, key: str, path: Path) -> None:
        return self._patiently(key, lambda: self.store.get_file(key, path))

    def list(self, prefix: str) -> dict[str, int]:
        return self._patiently(prefix, lambda: self.store.list(prefix))

    def delete(self, prefix: str) -> None:
        return self._patiently(prefix, lambda: self.store.delete(prefix))

    def head(self, key: str) -> StoredObject | None:
        return self._patiently(key, lambda: self.store.head(key))

    @property
    def public_url(self) -> str:
        return self.store.public_url

    def presign(self, key: str, expires_seconds: int) -> str:
        """Asks nobody, so nothing can fail."""
        return self.store.presign(key, expires_seconds)

    def presign_put(self, key: str, content_type: str, size_bytes: int, expires_seconds: int) -> str | None:
        """Likewise."""
        return self.store.presign_put(key, content_type, size_bytes, expires_seconds)

    def copy(self, key: str, target: str) -> StoredObject:
        return self._patiently(key, lambda: self.store.copy(key, target))

    def check(self) -> None:
        """Whether objects can be stored at this moment: asked once."""
        self.store.check()

    def _patiently(self, what: str, operation: Callable[[], T]) -> T:
        began = time.monotonic()

        def ask() -> None:
            self.interrupt()
            if time.monotonic() - began > self.policy.limit_seconds:
                raise StorageUnavailable(f"the storage took more than {self.policy.limit_seconds:g} seconds")

        token = watch.set(ask)
        try:
            return self._try(what, operation, ask)
        finally:
            watch.reset(token)

    def _try(self, what: str, operation: Callable[[], T], ask: Callable[[], None]) -> T:
        last_try, tries = None, 0
        while True:
            try:
                return operation()
            except StorageUnavailable as error:
                # Where a transfer was broken off, who did so is the reason that counts.
                ask()
                tries += 1
                last_try = last_try or time.monotonic() + self.policy.retry_seconds
                seconds = pause(tries)
                if time.monotonic() + seconds > last_try:
                    raise
                log.warning("storage asked again", key=what, tries=tries, pause=round(seconds, 2), error=str(error))
                sleep(seconds, ask)


def pause(tries: int) -> float:
    """Seconds before the next try: exponential with full jitter, so that workers do not come back all at once."""
    return random.uniform(0, min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**tries))


def sleep(seconds: float, ask: Callable[[], None]) -> None:
    """Sleep, unless asking raises meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, SLICE_SECONDS))
        ask()
