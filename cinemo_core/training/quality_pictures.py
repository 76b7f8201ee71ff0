"""Pictures of a model's results for the documentation: a contact sheet, and the README's photo beside its video."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from cinemo_core.media import Frames, prepare_image
from cinemo_core.pipeline import CinemoPipeline

SHEET_PROMPTS = (
    *("pan left", "pan right", "pan up", "pan down", "zoom in", "zoom out", "rotate clockwise"),
    *("rotate counterclockwise", "waves", "sway", "shake", "pulse", "swirl", "it gets brighter", "the light fades"),
)
SHEET_FRAMES = (0, 5, 10, 15)
SHEET_SIZE = (288, 192)
HEADLINE_SIZE = (480, 320)
HEADLINE = (
    *(("coffee", "zoom in", 8), ("coffee", "waves", 8)),
    *(("astronaut", "pan right", 8), ("astronaut", "the light fades", 16)),
)
HEADLINE_FPS = 24
FACTOR = 3


def contact_sheet(pipe: CinemoPipeline, photos: Iterable[Image.Image]) -> Image.Image:
    """A contact sheet with a row per prompt, showing four frames of each photo's clip."""
    margin, label = 4, 16
    width, height = SHEET_SIZE[0] + margin, SHEET_SIZE[1] + margin
    rows = [[*moments(pipe, photos, prompt)] for prompt in SHEET_PROMPTS]
    sheet = Image.new("RGB", (len(rows[0]) * width + margin, len(rows) * (height + label) + margin), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (prompt, frames) in enumerate(zip(SHEET_PROMPTS, rows, strict=True)):
        top = row * (height + label) + margin
        draw.text((margin, top), prompt, fill="black")
        for column, frame in enumerate(frames):
            sheet.paste(Image.fromarray(frame), (column * width + margin, top + label))
    return sheet


def moments(pipe: CinemoPipeline, photos: Iterable[Image.Image], prompt: str) -> Iterator[Frames]:
    width, height = SHEET_SIZE
    for photo in photos:
        frames = pipe(photo, prompt, seed=0, width=width, height=height, frame_rate_factor=1)
        yield from (frames[index] for index in SHEET_FRAMES)


def write_headline(path: Path, pipe: CinemoPipeline, photos: dict[str, Image.Image]) -> None:
    """Write an animated WebP of all clips in turn: the photo on the left, its video on the right."""
    first, *others = (Image.fromarray(frame) for frame in headline(pipe, photos))
    pause = round(1000 / HEADLINE_FPS)
    first.save(path, save_all=True, append_images=others, duration=pause, loop=0, quality=60, method=4)


def headline(pipe: CinemoPipeline, photos: dict[str, Image.Image]) -> Iterator[Frames]:
    width, height = HEADLINE_SIZE
    gap = np.full((height, 8, 3), 255, np.uint8)
    for name, prompt, intensity in HEADLINE:
        still = labelled(np.asarray(prepare_image(photos[name], width, height)), "photo")
        film = pipe.film(
            photos[name], prompt, motion_intensity=intensity, width=width, height=height, frame_rate_factor=FACTOR
        )
        for frame in film:
            yield np.concatenate((still, gap, labelled(frame, f"{prompt!r}")), axis=1)


def labelled(frame: Frames, text: str) -> Frames:
    """A frame with a label in its lower left corner."""
    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture)
    box = draw.textbbox((10, frame.shape[0] - 26), text, font_size=16)
    draw.rectangle((box[0] - 5, box[1] - 4, box[2] + 5, box[3] + 4), fill="black")
    draw.text((10, frame.shape[0] - 26), text, fill="white", font_size=16)
    return np.asarray(picture)
