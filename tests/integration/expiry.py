"""Shared by tests of expiry: files to delete, time that passes, and a storage that can fail."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from service.contract.problems import StorageUnavailable
from service.storage import LocalStore
from tests.clocks import now_ms


@dataclass
class Fragile(LocalStore):
    """A storage that fails halfway, standing in for a network."""

    folder: Path
    deletes_left: int = 10_000
    refused: str = "no such key"
    """What is in the keys that it does not delete."""

    def __post_init__(self) -> None:
        super().__init__(self.folder, "http://here", "key")

    def delete(self, prefix: str) -> None:
        if self.deletes_left == 0 or self.refused in prefix:
            raise StorageUnavailable("it is away")
        self.deletes_left -= 1
        super().delete(prefix)


def fill(storage: LocalStore, job_id: str) -> None:
    """Store everything that a job can have in the storage."""
    for key in ("inputs/{}/image.png", "jobs/{}/1/video.mp4", "jobs/{}/2/video.mp4", "checkpoints/{}/step-2/1/state"):
        storage.put_bytes(key.format(job_id), b"data", "image/png")


def kept(storage: LocalStore) -> set[str]:
    """IDs of jobs with stored files."""
    return {key.split("/")[1] for folder in ("inputs", "jobs", "checkpoints") for key in storage.list(f"{folder}/")}


def pass_time(client: redis.Redis, key: str) -> None:
    """Make all members due."""
    members: Any = client.zrange(key, 0, -1)
    for member in members:
        client.zadd(key, {member: now_ms(client) - 1})
