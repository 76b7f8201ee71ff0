"""Deletes many prefixes concurrently, since most of each call is waiting."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from service.contract.problems import StorageUnavailable
from service.storage.base import ObjectStore

log = structlog.get_logger()

CONCURRENT_DELETIONS = 20

POSTPONED_SECONDS = 60
"""Until a failed deletion is due again, behind the others."""


def delete_each(storage: ObjectStore, groups: Sequence[Sequence[str]]) -> Iterator[bool]:
    """Delete the objects below the prefixes of each group; yields whether it succeeded, group by group.

    A failure is logged, and the other groups continue.
    """

    def delete(prefixes: Sequence[str]) -> bool:
        try:
            for prefix in prefixes:
                storage.delete(prefix)
        except StorageUnavailable as problem:
            log.warning("deletion postponed", prefixes=prefixes, error=problem.detail)
            return False
        return True

    with ThreadPoolExecutor(CONCURRENT_DELETIONS, "delete") as pool:
        yield from pool.map(delete, groups)
