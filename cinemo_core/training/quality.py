"""How well a model does what it is told, measured on photos that it has never seen.

`python -m cinemo_core.training.quality` prints the figures and writes them, with pictures, to `docs/`.
"""

import json
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.stats import spearmanr
from skimage.filters import window
from skimage.metrics import peak_signal_noise_ratio
from skimage.registration import phase_cross_correlation
from skimage.transform import downscale_local_mean

from cinemo_core.clips import read_video
from cinemo_core.encoding import write_video
from cinemo_core.media import Frames, prepare_image
from cinemo_core.motion import LUMINANCE, motion_score
from cinemo_core.parameters import MAX_INTENSITY
from cinemo_core.pipeline import CinemoPipeline
from cinemo_core.training.motions import MOTIONS
from cinemo_core.training.recognize import recognize
from cinemo_core.training.sources import HELD_OUT, photo_path

# Where the content goes, in (down, right), when the camera pans.
PANS = {"pan left": (0, 1), "pan right": (0, -1), "pan up": (1, 0), "pan down": (-1, 0)}
# Whether the content leaves the middle.
ZOOMS = {"zoom in": 1, "zoom out": -1}
SHEET_PROMPTS = (*PANS, *ZOOMS, "rotate clockwise", "waves", "sway", "the light fades")
SHEET_FRAMES = (0, 5, 10, 15)
EXAMPLE_PROMPTS = ("pan left", "zoom in", "rotate clockwise", "waves")
COARSE = 4
CRISP_SIZE = (288, 192)


@dataclass(frozen=True)
class Figures:
    """What was measured; shares are 0..1, PSNR in dB, sizes in pixels.

    Attributes:
        recognized_share: of the clips of all prompts, those that show the motion which was asked for more clearly than
            any other that the model was taught.
        still_psnr: of the last frame where no motion is asked for, enlarged, against the photo at 288x192; it says how
            crisp a clip still is at its end, whatever the model's own size.
    """

    model_revision: str
    width: int
    height: int
    seeds: int
    recognized_share: float
    recognized_by_prompt: dict[str, float]
    still_psnr: float
    pan_share: float
    zoom_share: float
    share_by_prompt: dict[str, float]
    spearman_by_photo: dict[str, float]
    first_frame_psnr: float


def shift(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How far the content moved, `(down, right)` in pixels, by phase correlation of the windowed luminance.

    Phase correlation weighs every frequency alike; at a quarter of the size it sees what moves, and not
    the codec's grain.
    """
    one, other = (downscale_local_mean(frame @ LUMINANCE, (COARSE, COARSE)) for frame in (before, after))
    hann = window("hann", one.shape)
    one, other = (one - one.mean()) * hann, (other - other.mean()) * hann
    moved: NDArray[np.float64] = -COARSE * phase_cross_correlation(one, other, upsample_factor=20)[0]
    return moved


def pans_right_way(frames: Frames, direction: tuple[int, int]) -> bool:
    """Whether the content moved mostly along `direction`, summed over every third frame."""
    moved = sum(shift(before, after) for before, after in pairwise(frames[::3]))
    along = float(moved @ np.array(direction))
    return along > 0.5 and along > abs(float(moved @ np.array(direction[::-1])))


def zooms_right_way(frames: Frames, sign: int) -> bool:
    """Whether the four quarters moved outward (`sign` 1) or inward (-1) on average, up to the middle frame."""
    height, width = frames.shape[1] // 2, frames.shape[2] // 2
    outward = []
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        area = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
        away = np.array((2 * row - 1, 2 * column - 1))
        outward.append(shift(frames[0][area], frames[len(frames) // 2][area]) @ away)
    return float(np.median(outward)) * sign > 0.2


def measure(pipe: CinemoPipeline, seeds: int) -> Figures:
    """Animate each held-out photo with each prompt and seed."""
    right: dict[str, list[bool]] = {prompt: [] for prompt in (*PANS, *ZOOMS)}
    psnr = []
    for photo in load_held_out().values():
        still = np.asarray(prepare_image(photo, pipe.card.width, pipe.card.height))
        for prompt in right:
            for seed in range(seeds):
                frames = pipe(photo, prompt, seed=seed, detail="off")
                psnr.append(peak_signal_noise_ratio(still, first_frame_of_video(frames)))
                right_way = (
                    pans_right_way(frames, PANS[prompt]) if prompt in PANS else zooms_right_way(frames, ZOOMS[prompt])
                )
                right[prompt].append(right_way)
    recognized = {prompt: recognized_share(pipe, prompt, seeds) for prompt in MOTIONS}
    return Figures(
        model_revision=pipe.revision,
        width=pipe.card.width,
        height=pipe.card.height,
        seeds=seeds,
        recognized_share=statistics.fmean(recognized.values()),
        recognized_by_prompt=recognized,
        still_psnr=statistics.fmean(map(partial(still_psnr, pipe), load_held_out().values())),
        pan_share=statistics.fmean(hit for prompt in PANS for hit in right[prompt]),
        zoom_share=statistics.fmean(hit for prompt in ZOOMS for hit in right[prompt]),
        share_by_prompt={prompt: statistics.fmean(hits) for prompt, hits in right.items()},
        spearman_by_photo={name: intensity_correlation(pipe, photo) for name, photo in load_held_out().items()},
        first_frame_psnr=float(min(psnr)),
    )


def recognized_share(pipe: CinemoPipeline, prompt: str, seeds: int) -> float:
    """How many of a prompt's clips show its motion; the prompt is the phrase that people would say first."""
    phrase = MOTIONS[prompt].phrases[0]
    clips = (
        pipe(photo, phrase, seed=seed, detail="off") for photo in load_held_out().values() for seed in range(seeds)
    )
    return statistics.fmean(recognize(clip) == prompt for clip in clips)


def still_psnr(pipe: CinemoPipeline, photo: Image.Image) -> float:
    """The last frame at intensity 0 against the photo, both at a size above the model's."""
    last = Image.fromarray(pipe(photo, "a photo", motion_intensity=0, seed=0, detail="off")[-1])
    enlarged = np.asarray(last.resize(CRISP_SIZE, Image.Resampling.BICUBIC))
    return float(peak_signal_noise_ratio(np.asarray(prepare_image(photo, *CRISP_SIZE)), enlarged))


def first_frame_of_video(frames: Frames) -> NDArray[np.uint8]:
    """The first frame as a viewer gets it, after H.264."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        write_video(path, frames)
        first: NDArray[np.uint8] = read_video(path)[0][0]
        return first


def intensity_correlation(pipe: CinemoPipeline, photo: Image.Image) -> float:
    """Spearman correlation of the intensity asked for with the motion measured, 1 minus the mean SSIM."""
    intensities = range(MAX_INTENSITY + 1)
    motion = [1 - motion_score(pipe(photo, "pan right", motion_intensity=each, detail="off")) for each in intensities]
    return float(spearmanr(intensities, motion).statistic)


def load_held_out() -> dict[str, Image.Image]:
    return {name.partition(".")[0]: Image.open(photo_path(name)) for name in HELD_OUT}


def contact_sheet(pipe: CinemoPipeline) -> Image.Image:
    """A row for each prompt; for each photo four moments of its clip."""
    margin, label = 4, 16
    width, height = pipe.card.width + margin, pipe.card.height + margin
    columns = len(HELD_OUT) * len(SHEET_FRAMES)
    sheet = Image.new("RGB", (columns * width + margin, len(SHEET_PROMPTS) * (height + label) + margin), "white")
    draw = ImageDraw.Draw(sheet)
    for row, prompt in enumerate(SHEET_PROMPTS):
        top = row * (height + label) + margin
        draw.text((margin, top), prompt, fill="black")
        for column, frame in enumerate(moments(pipe, prompt)):
            sheet.paste(Image.fromarray(frame), (column * width + margin, top + label))
    return sheet


def moments(pipe: CinemoPipeline, prompt: str) -> Iterator[NDArray[np.uint8]]:
    for photo in load_held_out().values():
        frames = pipe(photo, prompt, seed=0, detail="off")
        yield from (frames[index] for index in SHEET_FRAMES)


def examples(pipe: CinemoPipeline) -> list[Image.Image]:
    """Frames of one animation that shows each photo under four prompts."""
    rows = [
        [pipe(photo, prompt, motion_intensity=6, seed=0, detail="off") for prompt in EXAMPLE_PROMPTS]
        for photo in load_held_out().values()
    ]
    film = np.concatenate([np.concatenate(row, axis=2) for row in rows], axis=1)
    return [Image.fromarray(frame).quantize(128) for frame in film]


def main(
    model: Annotated[str, typer.Option(help="tiny, a folder or a hub repository.")] = "tiny",
    seeds: Annotated[int, typer.Option(help="Seeds for each prompt and photo.")] = 4,
    docs: Annotated[Path, typer.Option(help="Where figures and pictures go.")] = Path("docs"),
) -> None:
    """Measure a model and write what was found."""
    pipe = CinemoPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    docs.mkdir(exist_ok=True)
    contact_sheet(pipe).save(docs / "contact-sheet.jpg", quality=90)
    first, *others = examples(pipe)
    first.save(docs / "examples.gif", save_all=True, append_images=others, duration=125, loop=0)
    figures = json.dumps(asdict(measure(pipe, seeds)), indent=2)
    (docs / "quality.json").write_text(figures + "\n")
    typer.echo(figures)


if __name__ == "__main__":
    typer.run(main)
