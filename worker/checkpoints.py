"""A training's states in the storage: whole or not at all, the newest two kept, found again by any worker.

A state is `checkpoints/<job>/step-N/<attempt>/…`; its `complete.json` is written last. Attempts write apart, so that a
worker which was overtaken spoils nothing.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from service.contract.problems import ObjectNotFound
from service.contract.record import Job
from service.storage import ObjectStore
from service.storage.base import sha256_of

log = structlog.get_logger()

COMPLETE = "complete.json"
KEPT = 2


class StateDamaged(Exception):
    """A stored state is not what was stored."""


def prefix_of(job_id: str) -> str:
    """Where all states of a job lie."""
    return f"checkpoints/{job_id}/"


@dataclass
class Checkpoints:
    """The states of one job; this attempt deletes only what it has written or gone on from."""

    job: Job
    storage: ObjectStore
    kept: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    """Sentences on stored states that were passed over."""

    @property
    def prefix(self) -> str:
        return prefix_of(self.job.id)

    def save(self, state: Path) -> None:
        """Store a state's folder, `step-N`, and let go of the oldest."""
        place = f"{self.prefix}{state.name}/{self.job.attempt}/"
        files = {}
        for path in sorted(state.iterdir()):
            stored = self.storage.put_file(place + path.name, path, "application/octet-stream")
            files[path.name] = stored.sha256
        self.storage.put_bytes(place + COMPLETE, json.dumps(files).encode(), "application/json")
        self.kept.append(place)
        for old in self.kept[:-KEPT]:
            self.storage.delete(old + COMPLETE)
            self.storage.delete(old)
        self.kept = self.kept[-KEPT:]

    def restore(self, states: Path) -> bool:
        """Fetch the newest whole state into `states`, of the job that this one continues if it has none of its own.

        False where there is none.
        """
        own = self._restore(self.prefix, states)
        self.kept = [own] if own else []
        return own is not None or (
            self.job.continues is not None and self._restore(prefix_of(self.job.continues), states) is not None
        )

    def _restore(self, prefix: str, states: Path) -> str | None:
        """Fetch the newest whole state below a prefix; returns its place, None where there is none."""
        complete = [key for key in self.storage.list(prefix) if key.endswith(f"/{COMPLETE}")]
        for key in sorted(complete, key=lambda key: (key.split("/")[2], int(key.split("/")[3])), reverse=True):
            place = key.removesuffix(COMPLETE)
            folder = states / key.split("/")[2]
            try:
                self._fetch(place, folder)
            except StateDamaged as error:
                shutil.rmtree(folder, ignore_errors=True)
                log.warning("state passed over", place=place, reason=str(error))
                self.damaged.append(f"the stored state {folder.name} is damaged, and was passed over: {error}")
            else:
                return place
        return None

    def _fetch(self, place: str, folder: Path) -> None:
        """Fetch a state; raises `StateDamaged` where it is not what was stored."""
        folder.mkdir(parents=True, exist_ok=True)
        try:
            files: dict[str, str] = dict(json.loads(self.storage.get_bytes(place + COMPLETE)))
            if not files:
                raise StateDamaged(f"{COMPLETE} names no file")
            for name, sha256 in files.items():
                self.storage.get_file(place + name, folder / name)
                if sha256_of(folder / name)[0] != sha256:
                    raise StateDamaged(f"{name} is not what was stored")
        except ObjectNotFound as error:
            raise StateDamaged(str(error)) from error
        except (ValueError, TypeError) as error:
            raise StateDamaged(f"{COMPLETE} cannot be read: {error}") from error
