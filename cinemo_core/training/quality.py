"""Measures how well a model follows its prompts, on photos that it was not trained on.

`python -m cinemo_core.training.quality` prints the figures and writes them, with pictures, to `docs/`.
"""

import json
import math
import statistics
import tempfile
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from skimage.filters import window
from skimage.metrics import peak_signal_noise_ratio
from skimage.registration import phase_cross_correlation
from skimage.transform import downscale_local_mean

from cinemo_core.clips import read_video
from cinemo_core.detail.steady import UNIT_AREA
from cinemo_core.encoding import write_video
from cinemo_core.film import Film
from cinemo_core.media import LUMINANCE, Frames, prepare_image
from cinemo_core.pipeline import CinemoPipeline
from cinemo_core.training.motion_fidelity import flow_of, intensity_correlation, late_ssim_by_prompt
from cinemo_core.training.motions import MOTIONS
from cinemo_core.training.quality_pictures import contact_sheet, write_headline
from cinemo_core.training.recognize import recognize, reduced
from cinemo_core.training.sources import held_out
from cinemo_spec.parameters import MAX_INTENSITY

# Where the content goes, in (down, right), when the camera pans.
PANS = {"pan left": (0, 1), "pan right": (0, -1), "pan up": (1, 0), "pan down": (-1, 0)}
# Whether the content leaves the middle.
ZOOMS = {"zoom in": 1, "zoom out": -1}
COARSE = 4
SEEN_AT: dict[str, Any] = {"width": 384, "height": 256, "frame_rate_factor": 1}
"""Large enough to measure motion, and without interpolated frames."""

CRISP_SIZE = (288, 192)


@dataclass(frozen=True)
class Figures:
    """Measured results; shares are 0..1, PSNR is in dB, sizes are in pixels.

    Attributes:
        recognized_share: share of all clips that show the requested motion more clearly than any other known one.
        still_psnr: of the last frame of clips at intensity 0, against the photo at 288x192.
        still_flow: motion in the last frame of such clips, maximum over the photos, in pixels of a 192x128 picture.
        late_ssim: by prompt, of frames 8 to 15 of pans and zooms at 768x512, against the photo under the nearest pure
            pan or zoom, where the photo covers the frame.
    """

    model_revision: str
    width: int
    height: int
    seeds: int
    recognized_share: float
    recognized_by_prompt: dict[str, float]
    still_psnr: float
    still_flow: float
    late_ssim: dict[str, float]
    pan_share: float
    zoom_share: float
    share_by_prompt: dict[str, float]
    spearman_by_photo: dict[str, float]
    first_frame_psnr: float


def shift(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How far the content moved, `(down, right)` in pixels, by phase correlation of the windowed luminance.

    Phase correlation weighs all frequencies equally; downscaling to a quarter removes the codec's grain.
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
    recognized: dict[str, list[bool]] = {prompt: [] for prompt in MOTIONS}
    psnr = []
    for photo in held_out().values():
        for prompt in MOTIONS:
            for seed in range(seeds):
                # The most common phrase.
                frames = pipe(photo, MOTIONS[prompt].phrases[0], seed=seed, **SEEN_AT)
                recognized[prompt].append(recognize(frames) == prompt)
                if prompt in right:
                    right[prompt].append(right_way(np.stack([reduced(frame) for frame in frames]), prompt))
                    psnr.append(peak_signal_noise_ratio(frames[0], first_frame_of_video(frames)))
    stills = [stand_still(pipe, photo) for photo in held_out().values()]
    shares = {prompt: statistics.fmean(hits) for prompt, hits in recognized.items()}
    return Figures(
        model_revision=pipe.revision,
        width=pipe.card.width,
        height=pipe.card.height,
        seeds=seeds,
        recognized_share=statistics.fmean(shares.values()),
        recognized_by_prompt=shares,
        still_psnr=statistics.fmean(psnr for psnr, _ in stills),
        still_flow=max(moved for _, moved in stills),
        late_ssim=late_ssim_by_prompt(pipe, held_out().values()),
        pan_share=statistics.fmean(hit for prompt in PANS for hit in right[prompt]),
        zoom_share=statistics.fmean(hit for prompt in ZOOMS for hit in right[prompt]),
        share_by_prompt={prompt: statistics.fmean(hits) for prompt, hits in right.items()},
        spearman_by_photo={
            name: intensity_correlation(pipe, photo, "pan right", range(MAX_INTENSITY + 1))
            for name, photo in held_out().items()
        },
        first_frame_psnr=float(min(psnr)),
    )


def right_way(frames: Frames, prompt: str) -> bool:
    """Whether a clip pans or zooms as requested."""
    return pans_right_way(frames, PANS[prompt]) if prompt in PANS else zooms_right_way(frames, ZOOMS[prompt])


def stand_still(pipe: CinemoPipeline, photo: Image.Image) -> tuple[float, float]:
    """Animate a photo at intensity 0; returns the PSNR and the motion (see `moved`) of the last frame."""
    width, height = CRISP_SIZE
    film = pipe.film(photo, "a photo", motion_intensity=0, seed=0, width=width, height=height, frame_rate_factor=1)
    *_, last = film
    sharp = float(peak_signal_noise_ratio(np.asarray(prepare_image(photo, width, height)), last))
    return sharp, moved(film)


def moved(film: Film) -> float:
    """Root mean square motion in a film's last frame, in pixels of a 192x128 picture."""
    flow = flow_of(film)
    unit = math.sqrt(flow.shape[-2] * flow.shape[-1] / UNIT_AREA)
    return float(flow[-1].square().sum(0).mean().sqrt()) / unit


def first_frame_of_video(frames: Frames) -> NDArray[np.uint8]:
    """The first frame after encoding and decoding as H.264."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        write_video(path, frames)
        first: NDArray[np.uint8] = read_video(path)[0][0]
        return first


def main(
    model: Annotated[str, typer.Option(help="A built-in model, a folder or a Hub repository.")] = "tiny",
    seeds: Annotated[int, typer.Option(help="Seeds per prompt and photo.")] = 4,
    pictures: Annotated[bool, typer.Option(help="Also make the pictures; otherwise write quality-NAME.json.")] = True,
    docs: Annotated[Path, typer.Option(help="Output folder for figures and pictures.")] = Path("docs"),
) -> None:
    """Evaluate a model and write the results."""
    pipe = CinemoPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    docs.mkdir(exist_ok=True)
    if pictures:
        photos = held_out()
        contact_sheet(pipe, photos.values()).save(docs / "contact-sheet.jpg", quality=85)
        write_headline(docs / "examples.webp", pipe, photos)
    figures = json.dumps(asdict(measure(pipe, seeds)), indent=2)
    (docs / ("quality.json" if pictures else f"quality-{pipe.card.name}.json")).write_text(figures + "\n")
    typer.echo(figures)


if __name__ == "__main__":
    typer.run(main)
