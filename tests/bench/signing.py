"""What signing a job costs in milliseconds and bytes: medians for each format. Writes part of docs/marking.md.

Signs what `make demo` makes, in size and length: video and poster, as a worker does between encoding and storing.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from cinemo_core import write_poster, write_video
from cinemo_core.encoding import FORMATS
from cinemo_core.training.sources import photo_path
from cinemo_spec.marking.keys import SigningKey, read_key
from cinemo_spec.marking.signing import sign
from cinemo_spec.marking.statement import SourceType
from deploy.markers import replace_section
from tests.bench.machine import cpu_name
from tests.signing import claim, new_key

PAGE = Path(__file__).parents[2] / "docs" / "marking.md"
BEGIN, END = "<!-- written by `python -m tests.bench.signing` -->", "<!-- until here -->"
SIZE, FRAME_COUNT, JOBS = (600, 400), 16, 15


def main() -> None:
    """Measure each format, by a key and by a command, and write the table."""
    key = new_key()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pem = folder / "key.pem"
        pem.write_text(key.private_key)
        by_key = read_key(key.chain, key.private_key, None)
        by_command = read_key(key.chain, None, f"openssl dgst -sha256 -sign {pem}")
        rows = [row(folder, suffix, by_key, by_command) for suffix in FORMATS]
    summary = (
        f"What signing adds to a job: its video of {SIZE[0]}x{SIZE[1]} and {FRAME_COUNT} frames, its poster, and the\n"
        f"file beside a WebM. Medians of {JOBS} jobs in one run on {cpu_name()}, which other work shared."
    )
    names = ("format", "video, kB", "with a key, ms", "bytes", "with a command (`openssl`), ms", "bytes")
    head = f"| {' | '.join(names)} |\n|{' --- |' * len(names)}"
    PAGE.write_text(replace_section(PAGE.read_text(), BEGIN, END, "\n".join(["", summary, "", head, *rows, ""])))


def row(folder: Path, suffix: str, *keys: SigningKey) -> str:
    """A line of the table."""
    photo = np.asarray(Image.open(photo_path("coffee.png")).convert("RGB").resize(SIZE))
    frames = np.stack([np.roll(photo, shift, 1) for shift in range(FRAME_COUNT)])
    video, poster = folder / f"plain{suffix}", folder / "plain.jpg"
    write_video(video, frames, source=SourceType.CREATED)
    write_poster(poster, frames[0], SourceType.CREATED)
    cells = [suffix.removeprefix("."), f"{video.stat().st_size / 1000:,.0f}"]
    for key in keys:
        costs = [cost(video, poster, key) for _ in range(JOBS)]
        milliseconds, more = (statistics.median(each) for each in zip(*costs, strict=True))
        cells += [f"{milliseconds:.0f}", f"{more:,.0f}"]
    return f"| {' | '.join(cells)} |"


def cost(video: Path, poster: Path, key: SigningKey) -> tuple[float, int]:
    """Milliseconds, and additional bytes of the files and the sidecar."""
    copies = [each.with_name(f"signed{each.suffix}") for each in (video, poster)]
    for each, copy in zip((video, poster), copies, strict=True):
        shutil.copy(each, copy)
    before = sum(each.stat().st_size for each in copies)
    began = time.monotonic()
    sidecars = [sign(each, claim(), key) for each in copies]
    took = 1000 * (time.monotonic() - began)
    files = [*copies, *filter(None, sidecars)]
    return took, sum(each.stat().st_size for each in files) - before


if __name__ == "__main__":
    main()
