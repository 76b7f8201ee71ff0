"""`make bench`: measures what users wait for, in one run, and writes docs/benchmarks.md."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
from PIL import Image

from cinemo_core import CinemoPipeline, write_video
from cinemo_core.training.sources import photo_path
from tests.bench.approximate import drifts
from tests.bench.between import between_lines
from tests.bench.machine import describe, dtypes, matmul_rate
from tests.bench.network import Row, clip_rows, forward_rows, sizes
from tests.bench.previews import preview_lines
from tests.bench.service import service_lines
from tests.bench.timing import median_seconds, medians
from tests.bench.training import training_rows


class Section(StrEnum):
    """A part that can be measured alone."""

    TRAINING = "training"
    PREVIEWS = "previews"
    SERVICE = "service"
    BETWEEN = "between"


RIVALS, OUTLOOK = (Path(__file__).with_name(name) for name in ("rivals.md", "outlook.md"))


def report(device: torch.device, width: int, height: int) -> Iterator[str]:
    """The lines of the page, as they become available."""
    yield "# Benchmarks\n"
    yield "Written by `make bench`. Times are valid only for the machine named here; ratios were measured in one run,"
    yield "with the competitors taking turns, as medians of several runs.\n"
    yield f"- machine: {describe(device)}"
    for dtype in dtypes(device):
        yield f"- product of two 4096x4096 matrices, {dtype}: {matmul_rate(device, dtype) / 1e9:.0f} GFLOP/s"
    yield f"\n{RIVALS.read_text()}"
    for size in sizes(device, width, height):
        yield from section(f"One guided forward pass, {size.name}", forward_rows(size, device))
        yield from section(f"A whole clip of {size.clip_steps} guided steps, {size.name}", clip_rows(size, device))
    yield from approximations(device)
    yield from training(device)
    yield from preview_lines()
    yield from service_lines()
    yield from between_lines()
    yield from surroundings()
    yield OUTLOOK.read_text().rstrip()


def section(title: str, rows: list[Row]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| | seconds | speedup | TFLOP | share of the matmul rate |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for row in rows:
        shares = f"{row.teraflop:.3f} | {row.share_of_matmul:.0%}"
        yield f"| {row.rival} | {row.seconds:.2f} | {row.speed_up:.2f} | {shares} |"
    yield ""


def approximations(device: torch.device) -> Iterator[str]:
    """Faster but inexact sampling, on the built-in model, the only one with trained weights here."""
    pipe = CinemoPipeline.from_pretrained("tiny", device=device)
    pipe.set_progress_bar_config(disable=True)
    yield "## Faster but approximate\n"
    yield "The built-in model, two held-out photos with three prompts each. Off by default.\n"
    yield "| | seconds | speedup | PSNR against exact, dB |"
    yield "| --- | ---: | ---: | ---: |"
    for drift in drifts(pipe):
        yield f"| {drift.way} | {drift.seconds:.2f} | {drift.speed_up:.2f} | {drift.psnr:.1f} |"
    yield ""


def training(device: torch.device) -> Iterator[str]:
    """Loader and training loop."""
    yield "## Training\n"
    yield "| | clips per second | time spent waiting for data |"
    yield "| --- | ---: | ---: |"
    yield from training_rows(device)
    yield ""


def surroundings() -> Iterator[str]:
    """The other costs of a job and of startup."""
    pipe = CinemoPipeline.from_pretrained("tiny")
    pipe.set_progress_bar_config(disable=True)
    frames = pipe(Image.open(photo_path("coffee.png")), "zoom in", num_inference_steps=1, detail="off")
    yield "## Around the model\n"
    yield "| | seconds |"
    yield "| --- | ---: |"
    with tempfile.TemporaryDirectory() as folder:
        encodings = {
            suffix: partial(write_video, Path(folder, f"clip{suffix}"), frames)
            for suffix in (".mp4", ".webm", ".gif", ".webp")
        }
        for suffix, seconds in medians(encodings).items():
            yield f"| writing 16 frames of 144x96 as {suffix} | {seconds:.3f} |"
    start = median_seconds(lambda: subprocess.run([sys.executable, "-c", "import service.api.app"], check=True))
    yield f"| importing the service | {start:.2f} |"
    yield f"| loading the built-in model | {median_seconds(lambda: CinemoPipeline.from_pretrained('tiny')):.2f} |"
    yield ""


def main(
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cuda" if torch.cuda.is_available() else "cpu",
    width: Annotated[int, typer.Option(help="Of the full configuration's clip, in pixels.")] = 256,
    height: Annotated[int, typer.Option(help="Likewise.")] = 160,
    output: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/benchmarks.md"),
    only: Annotated[Section | None, typer.Option(help="Measure this part alone, and put it in the page anew.")] = None,
) -> None:
    """Measure, print each line when it is available, and write the page at the end."""
    measured = report(torch.device(device), width, height) if only is None else part(only, torch.device(device))
    lines = []
    for line in measured:
        print(line, flush=True)
        lines.append(line)
    written = "\n".join(lines) + "\n"
    output.write_text(written if only is None else replace_section(output.read_text(), written))


def part(name: Section, device: torch.device) -> Iterator[str]:
    parts: dict[Section, Callable[[], Iterator[str]]] = {
        Section.TRAINING: partial(training, device),
        Section.PREVIEWS: preview_lines,
        Section.SERVICE: service_lines,
        Section.BETWEEN: between_lines,
    }
    return parts[name]()


def replace_section(page: str, section: str) -> str:
    """Replace the section with the same title; insert a new one before the last."""
    title = section.partition("\n")[0]
    head, *sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    kept = [each.partition("\n")[0] for each in sections]
    if title in kept:
        sections[kept.index(title)] = section
    else:
        sections.insert(-1, section)
    return head + "".join(sections)


if __name__ == "__main__":
    typer.run(main)
