"""Training states in the storage: written atomically, found by any worker; the newest two are kept.

A state is `checkpoints/<job>/step-N/<attempt>/…`; its `complete.json` is written last. Each attempt writes to its own
folder, so a worker that has lost the job can't damage the states of the next.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from service.contract.problems import ObjectNotFound
from service.contract.record import Job
from service.contract.storage_keys import checkpoint_prefix
from service.storage import ObjectStore
from service.storage.base import sha256_of

log = structlog.get_logger()

COMPLETE = "complete.json"
KEPT = 2


class StateDamaged(Exception):
    """A stored state is incomplete, or differs from what was saved."""


@dataclass
class Checkpoints:
    """The states of one job; an attempt deletes only those that it has saved or resumed from."""

    job: Job
    storage: ObjectStore
    kept: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    """A message for each damaged state that was skipped."""

    @property
    def prefix(self) -> str:
        return checkpoint_prefix(self.job.id)

    def save(self, state: Path) -> None:
        """Store a state's folder, `step-N`, and delete the oldest state."""
        prefix = f"{self.prefix}{state.name}/{self.job.attempt}/"
        files = {}
        for path in sorted(state.iterdir()):
            stored = self.storage.put_file(prefix + path.name, path, "application/octet-stream")
            files[path.name] = stored.sha256
        self.storage.put_bytes(prefix + COMPLETE, json.dumps(files).encode(), "application/json")
        self.kept.append(prefix)
        for old in self.kept[:-KEPT]:
            self.storage.delete(old + COMPLETE)
            self.storage.delete(old)
        self.kept = self.kept[-KEPT:]

    def restore(self, states: Path) -> bool:
        """Download the newest complete state of the job, or of the one that it continues; False if there is none."""
        own = self._restore(self.prefix, states)
        self.kept = [own] if own else []
        return own is not None or (
            self.job.continues is not None and self._restore(checkpoint_prefix(self.job.continues), states) is not None
        )

    def _restore(self, prefix: str, states: Path) -> str | None:
        """Download the newest intact state below a prefix; returns the state's prefix, or None."""
        complete = [key for key in self.storage.list(prefix) if key.endswith(f"/{COMPLETE}")]
        for key in sorted(complete, key=lambda key: (key.split("/")[2], int(key.split("/")[3])), reverse=True):
            state_prefix = key.removesuffix(COMPLETE)
            folder = states / key.split("/")[2]
            try:
                self._download(state_prefix, folder)
            except StateDamaged as error:
                shutil.rmtree(folder, ignore_errors=True)
                log.warning("damaged state skipped", state=state_prefix, reason=str(error))
                self.damaged.append(f"the stored state {folder.name} is damaged and was skipped: {error}")
            else:
                return state_prefix
        return None

    def _download(self, prefix: str, folder: Path) -> None:
        """Download a state; raises `StateDamaged` if it differs from what was saved."""
        folder.mkdir(parents=True, exist_ok=True)
        try:
            files: dict[str, str] = dict(json.loads(self.storage.get_bytes(prefix + COMPLETE)))
            if not files:
                raise StateDamaged(f"{COMPLETE} lists no files")
            for name, sha256 in files.items():
                self.storage.get_file(prefix + name, folder / name)
                if sha256_of(folder / name)[0] != sha256:
                    raise StateDamaged(f"{name} differs from what was saved")
        except ObjectNotFound as error:
            raise StateDamaged(str(error)) from error
        except (ValueError, TypeError) as error:
            raise StateDamaged(f"{COMPLETE} cannot be read: {error}") from error
