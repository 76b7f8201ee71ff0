"""How fast clips are decoded, how fast the built-in model trains on them, and whether it waits for them."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from cinemo_core.training.dataset import list_videos
from cinemo_core.training.files import FsspecFiles
from cinemo_core.training.loader import Clips, load_clips
from cinemo_core.training.loop import train
from cinemo_core.training.observer import Observer, StepReport
from cinemo_core.training.render import RenderConfig, render_dataset
from cinemo_spec.training import TrainConfig

DECODED_CLIPS = 64
STEPS, REPORTED_STEPS = 60, 10


@dataclass
class Reports(Observer):
    """Collects all reports but the first, during which processes start and memory is allocated."""

    heard: list[StepReport] = field(default_factory=list)

    def on_report(self, report: StepReport) -> None:
        if report.step > REPORTED_STEPS:
            self.heard.append(report)


def training_rows(device: torch.device) -> Iterator[str]:
    """Table rows; videos are H.264 in WebDataset shards on the disk."""
    with tempfile.TemporaryDirectory(prefix="cinemo-") as folder:
        large, small = Path(folder, "large"), Path(folder, "small")
        render_dataset(RenderConfig(clips=32, frames=60, width=512, height=320, clips_per_shard=16), large)
        render_dataset(RenderConfig(clips=64, frames=16, clips_per_shard=32), small)
        for workers in (1, 2):
            rate = decoding_rate(config(large, 512, 320, workers))
            yield f"| decoding 16 frames of 512x320 out of 60, decoding processes: {workers} | {rate:.1f} | |"
        plan = config(small, 144, 96, workers=1, min_interval=1, max_interval=1)
        reports = Reports()
        train(plan, Path(folder, "run"), reports, device="cpu" if device.type == "cpu" else "auto")
        rate = statistics.median(report.clips_per_second for report in reports.heard)
        waiting = statistics.median(report.waiting_share for report in reports.heard)
        yield f"| training tiny on 16 frames of 144x96, decoding processes: 1 | {rate:.1f} | {waiting:.1%} |"


def config(source: Path, width: int, height: int, workers: int, **data: Any) -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "name": "bench",
            "data": {"source": str(source), "width": width, "height": height, "workers": workers, **data},
            "steps": STEPS,
            "batch_size": 4,
            "log_every_steps": REPORTED_STEPS,
            "checkpoint_every_steps": STEPS,
            "samples": {"every_steps": 0},
        }
    )


def decoding_rate(plan: TrainConfig) -> float:
    """Clips per second of the loader alone, once its processes run."""
    files = FsspecFiles(plan.data.source)
    clips = Clips(files, list_videos(files), plan.data, plan.seed)
    warm_up = 4 * plan.data.workers
    batches = load_clips(clips, iter([[number] for number in range(warm_up + DECODED_CLIPS)]), plan.data.workers)
    for _ in range(warm_up):
        next(batches)
    started = time.perf_counter()
    decoded = sum(len(batch) for batch in batches)
    return decoded / (time.perf_counter() - started)
