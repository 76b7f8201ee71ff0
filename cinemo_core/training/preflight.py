"""Checks a dataset before training: which videos are broken, and how clips are distributed over motion buckets.

At one fixed frame interval most clips of real videos fall into a few buckets, a long tail (arXiv 2407.15642, section
3.3); the picture shows whether an interval range spreads them.
"""

import io
import json
from dataclasses import asdict, dataclass

from PIL import Image, ImageDraw

from cinemo_core.training.loader import Clips, load_clips
from cinemo_spec.scale import BUCKETS

BAR, PICTURE_HEIGHT, MARGIN = 24, 240, 28


@dataclass(frozen=True)
class Preflight:
    """Results of checking a dataset and a sample of its clips.

    `captioned` is how many of its videos have a caption; `buckets` counts the sample's clips by motion bucket; `notes`
    are sentences on what else was found.
    """

    videos: int
    captioned: int
    sampled: int
    broken: dict[str, str]
    buckets: tuple[int, ...]
    digest: str
    notes: tuple[str, ...] = ()

    @property
    def largest_share(self) -> float:
        """Share of the largest bucket, 0..1."""
        return max(self.buckets) / max(sum(self.buckets), 1)

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "largest_share": round(self.largest_share, 4)}, indent=2) + "\n"


def look(clips: Clips) -> Preflight:
    """Read the first clips of the run.

    Raises:
        DatasetError: too many videos are unusable.
    """
    count = min(clips.config.preflight_videos, len(clips.listing.videos))
    buckets = [0] * BUCKETS
    broken = dict(clips.listing.broken)
    for batch in load_clips(clips, iter([[number] for number in range(count)]), clips.config.workers):
        for clip in batch:
            buckets[int(clip.intensity)] += 1
            broken |= clip.broken
    listing = clips.listing
    return Preflight(len(listing.videos), clips.captioned, count, broken, tuple(buckets), listing.digest, listing.notes)


def histogram(preflight: Preflight) -> bytes:
    """A bar chart of the motion buckets as a PNG."""
    picture = Image.new("RGB", (BUCKETS * BAR + 2 * MARGIN, PICTURE_HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    floor, room = PICTURE_HEIGHT - MARGIN, PICTURE_HEIGHT - 3 * MARGIN
    draw.text((MARGIN, 6), f"{preflight.sampled} clips by motion bucket, 0 still to 19 strong", fill="black")
    for bucket, count in enumerate(preflight.buckets):
        left, height = MARGIN + bucket * BAR, room * count / max(*preflight.buckets, 1)
        draw.rectangle((left + 2, floor - height, left + BAR - 2, floor), fill="#3b6ea8")
        draw.text((left + BAR / 2, floor + 12), str(bucket), fill="black", anchor="mm")
        draw.text((left + BAR / 2, floor - height - 8), str(count) if count else "", fill="black", anchor="mm")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
