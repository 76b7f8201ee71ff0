"""Clips made on the fly: a still picture under a parametric motion, with the sentence that describes it.

A motion maps a frame's pixel grid back to the picture, in pixels, as a function of time and speed; the first frame is
the picture itself. Pans and zooms are the camera's, so where it pans left the content moves right; the rest is the
picture's own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cinemo_core.training.sources import Picture

Flow = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Motion:
    """A kind of motion: its phrases, its share of the clips, and its flow or its change of light."""

    phrases: tuple[str, ...]
    weight: float
    flow: Flow
    light: float = 0.0


def still(x: Tensor, y: Tensor, travel: float) -> tuple[Tensor, Tensor]:
    return x, y


def pan(dx: float, dy: float) -> Flow:
    return lambda x, y, travel: (x + dx * travel, y + dy * travel)


def zoom(sign: int) -> Flow:
    def flow(x: Tensor, y: Tensor, travel: float) -> tuple[Tensor, Tensor]:
        factor = math.exp(-sign * travel / 72)
        return x * factor, y * factor

    return flow


def rotate(sign: int) -> Flow:
    def flow(x: Tensor, y: Tensor, travel: float) -> tuple[Tensor, Tensor]:
        angle = sign * travel / 72
        cos, sin = math.cos(angle), math.sin(angle)
        return x * cos + y * sin, y * cos - x * sin

    return flow


def waves(x: Tensor, y: Tensor, travel: float) -> tuple[Tensor, Tensor]:
    phase = travel / 6
    return x, y + 4 * (torch.sin(x / 10 - phase) - torch.sin(x / 10))


def sway(x: Tensor, y: Tensor, travel: float) -> tuple[Tensor, Tensor]:
    height = (48 - y) / 96
    return x - 10 * height * math.sin(travel / 7), y


def shake(x: Tensor, y: Tensor, travel: float) -> tuple[Tensor, Tensor]:
    return x + 3 * math.sin(travel * 1.3), y + 3 * math.sin(travel * 1.9)


def pulse(x: Tensor, y: Tensor, travel: float) -> tuple[Tensor, Tensor]:
    factor = math.exp(-0.12 * math.sin(travel / 6))
    return x * factor, y * factor


def swirl(x: Tensor, y: Tensor, travel: float) -> tuple[Tensor, Tensor]:
    angle = travel / 30 * torch.exp(-(x**2 + y**2) / 40**2)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def camera(*verb_phrases: str) -> tuple[str, ...]:
    return tuple(f"{subject} {phrase}" for phrase in verb_phrases for subject in ("the camera", "camera"))


def pans(direction: str, *others: str) -> tuple[str, ...]:
    """What people say for a camera that goes one way."""
    named = (f"pan {direction}", f"panning {direction}", f"pan to the {direction}", f"move {direction}")
    return (*named, *camera(f"pans {direction}", f"moves {direction}", f"slides {direction}"), *others)


MOTIONS: dict[str, Motion] = {
    "pan left": Motion(pans("left", "truck left", "look left"), 3, pan(-1, 0)),
    "pan right": Motion(pans("right", "truck right", "look right"), 3, pan(1, 0)),
    "pan up": Motion(pans("up", "tilt up", *camera("tilts up", "rises")), 3, pan(0, -1)),
    "pan down": Motion(pans("down", "tilt down", *camera("tilts down", "sinks")), 3, pan(0, 1)),
    "zoom in": Motion(
        ("zoom in", "zooming in", "push in", "dolly in", "closer", *camera("zooms in", "moves closer", "pushes in")),
        3,
        zoom(1),
    ),
    "zoom out": Motion(
        ("zoom out", "zooming out", "pull back", "dolly out", *camera("zooms out", "moves away", "pulls back")),
        3,
        zoom(-1),
    ),
    "rotate clockwise": Motion(
        ("rotate clockwise", "it turns clockwise", "turning clockwise", "spin clockwise", "roll right"), 1.5, rotate(1)
    ),
    "rotate counterclockwise": Motion(
        (
            *("rotate counterclockwise", "it turns counterclockwise", "turning counterclockwise"),
            *("spin counterclockwise", "roll left"),
        ),
        1.5,
        rotate(-1),
    ),
    "waves": Motion(
        ("waves", "rippling waves", "it ripples like water", "waves on the water", "ripples", "the water moves"),
        1.5,
        waves,
    ),
    "sway": Motion(
        ("sway", "swaying in the wind", "it sways in the wind", "the wind blows", "it swings", "a breeze"), 1.5, sway
    ),
    "shake": Motion(("shake", "it shakes", "an earthquake", "it trembles", "camera shake"), 1, shake),
    "pulse": Motion(("pulse", "it pulses", "it breathes", "a heartbeat", "breathing"), 1, pulse),
    "swirl": Motion(("swirl", "it swirls", "a whirlpool", "it twists", "a vortex"), 1, swirl),
    "brighten": Motion(
        ("it gets brighter", "the light brightens", "sunrise", "day breaks", "brighten", "lights on"), 0.7, still, 0.5
    ),
    "darken": Motion(
        ("it gets darker", "the light fades", "sunset", "night falls", "darken", "lights off"), 0.7, still, -0.5
    ),
}
SUBJECTS = (
    *("a cat", "a dog", "a woman", "a man", "a portrait", "a cup of coffee", "a rocket", "a galaxy"),
    *("a street", "a house", "a tree", "flowers", "a car", "a mountain", "the sea", "the sky"),
    *("a bird", "a motorcycle", "stones", "grass", "a beach", "a city at night", "a table", "a photo"),
)


def describe(motion: Motion, rng: np.random.Generator) -> str:
    """A sentence for a motion: the phrase alone, or beside a subject that it says nothing about."""
    phrase = str(rng.choice(motion.phrases))
    if rng.random() < 0.5:
        return phrase
    subject = str(rng.choice(SUBJECTS))
    return f"{subject}, {phrase}" if rng.random() < 0.7 else f"{phrase}, {subject}"


def render(picture: Picture, motion: Motion, speed: float, frames: int, height: int, width: int) -> Tensor:
    """Film a picture: frames `(f, h, w, 3)` uint8; `speed` in pixels a frame, at the rim for zooms and rotations."""
    source = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float()[None]
    y, x = torch.meshgrid(torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2, indexing="ij")
    grids = []
    for frame in range(frames):
        sx, sy = motion.flow(x, y, speed * frame)
        grids.append(torch.stack((2 * sx / picture.shape[1], 2 * sy / picture.shape[0]), dim=-1))
    pixels = F.grid_sample(
        source.expand(frames, -1, -1, -1),
        torch.stack(grids),
        mode="bicubic",
        padding_mode="reflection",
        align_corners=False,
    )
    gain = 1 + motion.light * min(speed, 1.5) / 1.5 * torch.arange(frames) / max(frames - 1, 1)
    return (pixels * gain[:, None, None, None]).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def window(picture: Picture, height: int, width: int, rng: np.random.Generator) -> Picture:
    """A random part of a picture with room around the frame for pans, and never larger than the picture."""
    tall, wide = min(picture.shape[0], 2 * height), min(picture.shape[1], 2 * width)
    top, left = rng.integers(picture.shape[0] - tall + 1), rng.integers(picture.shape[1] - wide + 1)
    return picture[top : top + tall, left : left + wide]
