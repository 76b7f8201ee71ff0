"""The thresholds of detail transfer: each is measured and compared."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch

from cinemo_core.detail import analyse, compose, estimate, interpolate, transfer
from cinemo_core.detail.warp import resize
from cinemo_core.training.motions import MOTIONS
from tests.quality.clips import CLIPS, natural
from tests.quality.scenes import LOW_HEIGHT, LOW_WIDTH, Scene, grainy, scene, view
from tests.quality.scores import Score, enlarge, psnr, sharpen
from tests.unit.cinemo_core.detail.scenes import to_bytes

PHOTOS = ("coffee.png", "astronaut.png", "rocket.jpg", "motorcycle_left.png", "retina.jpg")
MOVES = [motion for motion in MOTIONS if motion not in ("brighten", "darken")]
SPEED = 1.5
PASSING = (
    ("astronaut.png", "coffee.png"),
    ("motorcycle_left.png", "astronaut.png"),
    ("coffee.png", "motorcycle_left.png"),
)
FACTOR = 3


@dataclass(frozen=True)
class Row:
    """What is required, the measurement, and whether it is enough."""

    what: str
    bar: str
    measured: str
    met: bool


Log = Callable[[str], None]


def motions(log: Log) -> Iterator[Row]:
    """Every motion of the built-in model, also of light, each on one of the photos."""
    scores = [
        logged(sharpen(scene(PHOTOS[index % len(PHOTOS)], motion, SPEED)), log) for index, motion in enumerate(MOTIONS)
    ]
    gain, similarity = fmean(score.gain for score in scores), fmean(score.ssim for score in scores)
    yield Row("parametric motion, PSNR over bicubic", "+4 dB", f"{gain:+.1f} dB", gain >= 4)
    yield Row("parametric motion, SSIM", "0.96", f"{similarity:.3f}", similarity >= 0.96)


def occlusions(log: Log) -> Iterator[Row]:
    """A disc of another photo passes while the camera moves closer."""
    for what, change in (("clean", lambda scene: scene), ("under grain", grainy)):
        scores = [logged(sharpen(change(scene(behind, "zoom in", SPEED, before))), log) for behind, before in PASSING]
        least = min(score.gain for score in scores)
        yield Row(f"occlusion, {what}, PSNR over bicubic, the worst", "0 dB", f"{least:+.1f} dB", least >= 0)


def natural_clips(log: Log, folder: Path) -> Iterator[Row]:
    """Films from their first frame and all frames at a quarter of the size."""
    scores = [logged(sharpen(natural(clip, folder)), log) for clip in CLIPS]
    mean, least = fmean(score.gain for score in scores), min(score.gain for score in scores)
    what = f"{len(scores)} natural clips, PSNR over bicubic"
    yield Row(f"{what}, mean", "+1.5 dB", f"{mean:+.1f} dB", mean >= 1.5)
    yield Row(f"{what}, the worst", "-0.3 dB", f"{least:+.1f} dB", least >= -0.3)


def in_between(log: Log) -> Iterator[Row]:
    """Three times the frames: new ones compared with a blend of their enlarged neighbours."""
    gains = []
    for index, motion in enumerate(MOVES):
        name = PHOTOS[index % len(PHOTOS)]
        gains.append(between_gain(scene(name, motion, SPEED), name, motion))
        log(f"three times the frames, {name}, {motion}: {gains[-1]:+.2f} dB")
    mean = fmean(gains)
    yield Row("three times the frames, PSNR over blending", "+5 dB", f"{mean:+.1f} dB", mean >= 5)


def between_gain(scene: Scene, name: str, motion: str) -> float:
    photo, small = scene.truth[0], scene.small
    analysis = analyse(photo, small[1:], estimate(small[0], small[1:]))
    frames = list(interpolate(small[0], analysis, FACTOR))
    gains = []
    for number in (1, 14, 28, 41):
        share, before = number % FACTOR / FACTOR, number // FACTOR
        truth = view(name, motion, SPEED, number / FACTOR)
        blend = enlarge(torch.lerp(small[before], small[before + 1], share), truth)
        gains.append(psnr(compose(photo, frames[number - 1]), truth) - psnr(blend, truth))
    return fmean(gains)


def speed(log: Log) -> Iterator[Row]:
    """A whole clip of sixteen frames on one core."""
    clip = scene("coffee.png", "pan left", SPEED)
    for bar, size, low in ((3, (512, 768), (LOW_HEIGHT, LOW_WIDTH)), (6, (720, 1280), (117, 208))):
        photo = to_bytes(resize(clip.truth[0], *size)[None].clamp(0, 1))[0]
        small = to_bytes(torch.stack([resize(frame, *low) for frame in clip.truth]))
        list(transfer(photo, small[:2]))
        began = time.process_time()
        list(transfer(photo, small))
        seconds = time.process_time() - began
        yield Row(f"16 frames to {size[1]}x{size[0]}, one core", f"{bar} s", f"{seconds:.1f} s", seconds <= bar)


def logged(score: Score, log: Log) -> Score:
    log(f"{score.name}: {score.enlarged_psnr:.2f} to {score.psnr:.2f} dB ({score.gain:+.2f}), SSIM {score.ssim:.3f}")
    return score
