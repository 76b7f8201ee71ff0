"""What previews cost: the CPU time of each, as a share of the denoising."""

import statistics
import time
from collections.abc import Iterator
from typing import Any

from PIL import Image

from cinemo_core import CinemoPipeline
from cinemo_core.preview import encode_preview
from cinemo_core.training.sources import photo_path
from cinemo_spec.marking.statement import SourceType

STEPS, EVERY, RUNS = 20, 4, 9


def preview_lines() -> Iterator[str]:
    """Steps without previews, and previews; CPU time, which other load on the machine hardly affects."""
    pipe = CinemoPipeline.from_pretrained("tiny")
    pipe.set_progress_bar_config(disable=True)
    photo = Image.open(photo_path("coffee.png"))
    previews: list[float] = []

    def look(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> None:
        if (step + 1) % EVERY == 0 and step + 1 < STEPS:
            started = time.process_time()
            encode_preview(state["preview"](), 2.0, SourceType.CREATED)
            previews.append(time.process_time() - started)

    def run() -> float:
        before, started = len(previews), time.process_time()
        pipe(photo, "zoom in", num_inference_steps=STEPS, output_type="latent", callback_on_step_end=look)
        return time.process_time() - started - sum(previews[before:])

    run()
    plain, each = statistics.median(run() for _ in range(RUNS)), statistics.median(previews)
    per_job = STEPS // EVERY - 1
    yield "## Previews\n"
    yield f"CPU time on the built-in model at 192x128, {STEPS} steps with {per_job} previews; medians of {RUNS} runs.\n"
    yield "| | |"
    yield "| --- | ---: |"
    yield f"| a denoising step, ms | {plain / STEPS * 1000:.0f} |"
    yield f"| a preview with its WebP, ms | {each * 1000:.1f} |"
    yield f"| all previews of a job, share of its steps | {per_job * each / plain:.1%} |"
    yield ""
