"""`python -m tests.watermark`: what the watermark survives, and how often it is found in unmarked clips."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated

import torch
import typer

from cinemo_core.clips import read_video
from cinemo_core.encoding import write_video
from cinemo_core.media import Frames
from cinemo_core.watermark.detect import best_fit, find_watermark, texture
from cinemo_core.watermark.embed import watermarked
from deploy.markers import replace_section
from tests.watermark.attacks import ATTACKS
from tests.watermark.clips import NAMES, moving_photo, psnr, rendered_clip

BEGIN, END = "<!-- make watermark: begin -->", "<!-- make watermark: end -->"
SERVICE = 0x5EED1234
SIZES = ((1280, 720), (640, 360))
COSTED, COSTED_SIZE = 5, (1280, 720)
UNMARKED_SIZE, UNMARKED_FRAMES = (320, 180), 2


def main(
    photos: Annotated[int, typer.Option(help="Photos to mark, each at two sizes.")] = 8,
    unmarked: Annotated[int, typer.Option(help="Rendered clips without a mark to look at.")] = 1000,
    page: Annotated[Path, typer.Option(help="Where the tables go.")] = Path("docs/watermark.md"),
) -> None:
    """Mark clips, transform them, and count how many are still recognized."""
    torch.set_num_threads(1)
    lines = [*survival(NAMES[:photos]), "", *false_alarms(unmarked), "", *cost(NAMES[:COSTED])]
    page.write_text(replace_section(page.read_text(), BEGIN, END, "\n".join(lines)))


def survival(names: tuple[str, ...]) -> Iterator[str]:
    """A table of how many clips were recognized by attack and size, and how much marking changes them."""
    columns = [f"{width}x{height}" for width, height in SIZES]
    read = {(attack, size): 0 for attack in ATTACKS for size in SIZES}
    ratios: list[float] = []
    for number, name in enumerate(names):
        for size in SIZES:
            clip = moving_photo(name, number, *size)
            marked = list(watermarked(clip, SERVICE))
            ratios += map(psnr, clip, marked)
            for attack in survived(marked):
                read[attack, size] += 1
            typer.echo(f"{name} {size}: " + ", ".join(f"{each} {read[each, size]}/{number + 1}" for each in ATTACKS))
    yield f"| after | {' | '.join(columns)} |"
    yield "| --- | ---: | ---: |"
    for attack in ATTACKS:
        yield f"| {attack} | " + " | ".join(f"{read[attack, size]} of {len(names)}" for size in SIZES) + " |"
    yield ""
    yield f"PSNR of the marked frames: at least {min(ratios):.1f} dB, {median(ratios):.1f} dB in the median."


def survived(marked: list[Frames]) -> Iterator[str]:
    """The attacks after which the delivered video still identifies the service."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_video(folder / "delivered.mp4", marked, 24)
        delivered = list(read_video(folder / "delivered.mp4")[0])
        for name, attack in ATTACKS.items():
            found = find_watermark(attack(delivered, folder))
            if found and found.service_id == SERVICE:
                yield name


def false_alarms(count: int) -> Iterator[str]:
    """Detections in unmarked clips."""
    alarms, scores = 0, []
    for number in range(count):
        clip = rendered_clip(number, *UNMARKED_SIZE, UNMARKED_FRAMES)
        alarms += find_watermark(clip) is not None
        scores.append(best_fit(texture(clip[0])).score)
        if number % 100 == 99:
            typer.echo(f"{number + 1} unmarked clips: {alarms} false alarms, highest score {max(scores):.2f}")
    yield f"Of {count:,} clips without a mark, {alarms} were taken for marked. Highest score of one: {max(scores):.2f}."


def cost(names: tuple[str, ...]) -> Iterator[str]:
    """CPU time of marking and detection, beside that of encoding the same frames."""
    shares = [costs(moving_photo(name, number, *COSTED_SIZE)) for number, name in enumerate(names)]
    marking, looking = zip(*shares, strict=True)
    yield (
        f"CPU time, of what encoding the same frames as MP4 takes: {median(marking):.2f} for marking them "
        f"({min(marking):.2f} to {max(marking):.2f}). Looking for the mark takes as long as encoding "
        f"{median(looking):.1f} frames. Medians of {len(names)} clips of {COSTED_SIZE[0]}x{COSTED_SIZE[1]} in one run."
    )


def costs(clip: list[Frames]) -> tuple[float, float]:
    """Marking as a share of encoding; detection as a number of encoded frames."""
    with tempfile.TemporaryDirectory() as folder, cpu_time() as encoding:
        write_video(Path(folder) / "a.mp4", clip, 24)
    with cpu_time() as marking:
        list(watermarked(clip, SERVICE))
    with cpu_time() as looking:
        find_watermark(clip)
    return marking[0] / encoding[0], looking[0] / encoding[0] * len(clip)


@contextmanager
def cpu_time() -> Iterator[list[float]]:
    """CPU seconds, in a list that is empty until the context exits."""
    spent: list[float] = []
    started = time.process_time()
    yield spent
    spent.append(time.process_time() - started)


if __name__ == "__main__":
    typer.run(main)
