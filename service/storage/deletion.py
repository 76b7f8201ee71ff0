"""Deletes much at a time: a call to a storage is mostly waiting, so some are made at once."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from service.contract.problems import StorageUnavailable
from service.storage.base import ObjectStore

log = structlog.get_logger()

AT_ONCE = 20

POSTPONED_SECONDS = 60
"""Until what could not be deleted is due again, behind what can be."""


def delete_each(storage: ObjectStore, groups: Sequence[Sequence[str]]) -> Iterator[bool]:
    """Delete all objects below the prefixes of each group; tells of one after the other whether all of it is gone.

    What cannot be deleted is logged and stops no other.
    """

    def delete(prefixes: Sequence[str]) -> bool:
        try:
            for prefix in prefixes:
                storage.delete(prefix)
        except StorageUnavailable as problem:
            log.warning("data stays for now", prefixes=prefixes, error=problem.detail)
            return False
        return True

    with ThreadPoolExecutor(AT_ONCE, "delete") as pool:
        yield from pool.map(delete, groups)
