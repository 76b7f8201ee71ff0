"""A training run as its worker follows it: reads the process's events, and stores and reports what they announce."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from cinemo_spec.distillation import Comparison
from service.contract.record import DatasetReport, Job, JobError, Sample, StoredFile, Training, TrainingProgress
from service.contract.storage_keys import attempt_prefix, item_of, output_prefix
from worker.checkpoints import Checkpoints
from worker.dependencies import object_store
from worker.reporting import report_progress, report_stored, report_training
from worker.training_folder import EVENTS, RUN

log = structlog.get_logger()

MAX_BROKEN = 100
MAX_NOTES = 20
MEDIA_TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".png": "image/png"}


@dataclass
class TrainingRun:
    """The state of a run in another process, updated from its events by the methods `on_…`."""

    job: Job
    folder: Path
    checkpoints: Checkpoints
    training: Training
    failure: JobError | None = None
    published: dict[str, Any] | None = None
    _offset: int = 0
    """Bytes of the events' file handled so far."""

    @property
    def job_prefix(self) -> str:
        """Prefix of the files of all attempts."""
        return output_prefix(self.job.id)

    @property
    def prefix(self) -> str:
        """Prefix of this attempt's files."""
        return attempt_prefix(self.job.id, self.job.attempt)

    def handle_new_events(self) -> None:
        """Handle the events written since the last call; of several states, keep only the newest."""
        events = self._new_events()
        states = [event for event in events if event["type"] == "checkpoint"]
        for event in events:
            if event in states[:-1]:
                shutil.rmtree(event["folder"])
            else:
                getattr(self, f"on_{event.pop('type')}")(**event)

    def _new_events(self) -> list[dict[str, Any]]:
        with (self.folder / EVENTS).open("rb") as file:
            file.seek(self._offset)
            complete, _, _ = file.read().rpartition(b"\n")
        self._offset += len(complete) + bool(complete)
        return [json.loads(line) for line in complete.splitlines()]

    def on_start(self, step: int, **found: Any) -> None:
        """The dataset has been inspected."""
        picture = self._store(self.folder / RUN / "preflight.png", "preflight.png")
        report = DatasetReport(
            videos=found["videos"],
            captioned=found["captioned"],
            sampled=found["sampled"],
            broken=dict(list(found["broken"].items())[:MAX_BROKEN]),
            buckets=tuple(found["buckets"]),
            histogram=picture,
            notes=(*self.checkpoints.damaged, *found["notes"])[:MAX_NOTES],
        )
        self._report_stored(self.job_prefix)
        counts = {"videos": report.videos, "captioned": report.captioned, "broken": len(found["broken"])}
        self._record("dataset", counts, dataset=report)

    def on_report(self, step: int, steps: int, **figures: Any) -> None:
        """Steps have been made."""
        known = {name: value for name, value in figures.items() if name in TrainingProgress.model_fields}
        message = f"training step {step} of {steps}, loss {figures['loss']:.4f}"
        progress = TrainingProgress(step=step, steps=steps, fraction=step / steps, message=message, **known)
        report_progress(self.job, progress)

    def on_checkpoint(self, step: int, folder: str) -> None:
        """A state has been saved: store it and the curves, then delete it here."""
        self.checkpoints.save(Path(folder))
        shutil.rmtree(folder)
        curves = self._store_curves()
        self._report_stored(self.job_prefix, self.checkpoints.prefix)
        self._record("checkpoint", {"step": step}, checkpoint_step=step, tensorboard=curves)

    def on_samples(self, step: int, folder: str) -> None:
        """Sample clips have been generated."""
        names = sorted(path.stem for path in Path(folder).glob("*.mp4"))
        clips = [
            Sample(step=step, video=self._sample(folder, f"{name}.mp4"), poster=self._sample(folder, f"{name}.jpg"))
            for name in names
        ]
        self._report_stored(self.job_prefix)
        self._record("sample", {"step": step, "clips": len(clips)}, samples=self.training.samples_with(clips))

    def on_no_samples(self, step: int, reason: str) -> None:
        """Sample clips could not be generated; training continues."""
        log.warning("no samples", step=step, reason=reason)
        self._record("sample", {"step": step, "clips": 0, "reason": reason})

    def on_comparison(self, comparison: dict[str, Any]) -> None:
        """A distilled model was compared with its teacher, before it is published or refused."""
        found = Comparison.model_validate(comparison)
        data = {"flow": found.student.flow, "teacher_flow": found.teacher.flow, "shortfalls": list(found.shortfalls)}
        self._record("comparison", data, comparison=found)

    def on_published(self, **model: Any) -> None:
        """The model has been written."""
        self.published = model

    def on_failed(self, **error: Any) -> None:
        """A process has failed. If several train together, the others fail after it, so the first error counts."""
        self.failure = self.failure or JobError(**error)

    def _report_stored(self, *prefixes: str) -> None:
        """Report the bytes stored below each prefix as an item."""
        sizes = {prefix: sum(object_store().list(prefix).values()) for prefix in prefixes}
        report_stored(self.job, {item_of(prefix): size for prefix, size in sizes.items()})

    def _record(self, kind: str, data: dict[str, Any], **changes: Any) -> None:
        self.training = self.training.model_copy(update=changes)
        report_training(self.job, self.training, kind, data)

    def _store_curves(self) -> tuple[StoredFile, ...]:
        earlier = [file for file in self.training.tensorboard if not file.key.startswith(self.prefix)]
        # Copied first, because the process keeps writing to the files.
        copy = shutil.copytree(self.folder / RUN / "tensorboard", self.folder / "curves", dirs_exist_ok=True)
        paths = sorted(Path(copy).glob("events.*"))
        return (*earlier, *(self._store(path, f"tensorboard/{path.name}") for path in paths))

    def _sample(self, folder: str, name: str) -> StoredFile:
        path = Path(folder, name)
        return self._store(path, f"samples/{path.parent.name}/{name}")

    def _store(self, path: Path, name: str) -> StoredFile:
        content_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        return StoredFile(**vars(object_store().put_file(self.prefix + name, path, content_type)))
