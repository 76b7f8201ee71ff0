"""`make bench`: medians of several runs of what users wait for. Ratios hold on any machine, times on this one alone."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from cinemo_core import CinemoPipeline, write_video
from cinemo_core.training.sources import photo_path

RUNS = 5


def median_seconds(action: Callable[[], object], runs: int = RUNS) -> float:
    """Median of several runs after one to warm up."""
    action()
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    """Print one line a measure."""
    pipe = CinemoPipeline.from_pretrained("tiny")
    pipe.set_progress_bar_config(disable=True)
    photo = Image.open(photo_path("coffee.png"))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; medians of {RUNS}")

    guided = median_seconds(lambda: pipe(photo, "zoom in", num_inference_steps=20))
    unguided = median_seconds(lambda: pipe(photo, "zoom in", num_inference_steps=20, guidance_scale=1.0))
    print(f"20-step clip, guided          {guided:8.2f} s")
    print(f"20-step clip, unguided        {unguided:8.2f} s   {guided / unguided:.2f} times faster")

    frames = pipe(photo, "zoom in", num_inference_steps=1)
    with tempfile.TemporaryDirectory() as folder:
        encoding = median_seconds(lambda: write_video(Path(folder, "clip.mp4"), frames))
    print(f"encoding the MP4              {encoding * 1000:8.1f} ms")

    front = median_seconds(lambda: subprocess.run([sys.executable, "-c", "import service.app"], check=True))
    print(f"importing the service         {front:8.2f} s")
    loading = median_seconds(lambda: CinemoPipeline.from_pretrained("tiny"))
    print(f"loading the built-in model    {loading:8.2f} s")


if __name__ == "__main__":
    main()
