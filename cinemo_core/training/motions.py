"""Renders clips: a still picture under parametric motions, with a caption that describes them.

A motion maps a frame's grid back to the picture, as a function of frame and speed. The first frame is the picture
itself; beyond its edges, the picture is mirrored. Pans and zooms move the camera: when it pans left, content moves
right. Lengths are in pixels of a 192x128 picture, so that a motion looks the same at every size and shape; speeds are
in such pixels per frame.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cinemo_core.detail.steady import UNIT_AREA
from cinemo_core.training.sources import Picture
from cinemo_spec.parameters import MAX_INTENSITY

CLIP_FRAMES = 16
"""Number of frames over which brightness changes by a motion's `light`."""

TOP_SPEED = 2.5
"""Speed at intensity 19, in pixels per frame."""

Flow = Callable[[Tensor, Tensor, float, float], tuple[Tensor, Tensor]]
"""Maps x and y `(h, w)`, measured from the centre, speed and frame index to the source coordinates."""


CAMERA, CONTENT, LIGHT = "camera", "content", "light"
"""Kinds of motion; a clip can combine motions of different kinds."""

SHAKES_PER_FRAME = (1.3, 1.9)
"""Phase advance of a shake in radians per frame, right and down: two to three cycles a second at 8 frames a second."""


@dataclass(frozen=True)
class Motion:
    """A motion to be learned.

    Attributes:
        phrases: ways to ask for it.
        weight: relative frequency among the clips.
        light: change of brightness over a clip at top speed, relative to that of the picture.
    """

    phrases: tuple[str, ...]
    weight: float
    kind: str
    flow: Flow
    light: float = 0.0


def still(x: Tensor, y: Tensor, speed: float, frame: float) -> tuple[Tensor, Tensor]:
    return x, y


def pan(dx: float, dy: float) -> Flow:
    return lambda x, y, speed, frame: (x + dx * speed * frame, y + dy * speed * frame)


def zoom(sign: int) -> Flow:
    def flow(x: Tensor, y: Tensor, speed: float, frame: float) -> tuple[Tensor, Tensor]:
        factor = math.exp(-sign * speed * frame / 72)
        return x * factor, y * factor

    return flow


def rotate(sign: int) -> Flow:
    def flow(x: Tensor, y: Tensor, speed: float, frame: float) -> tuple[Tensor, Tensor]:
        angle = sign * speed * frame / 72
        cos, sin = math.cos(angle), math.sin(angle)
        return x * cos + y * sin, y * cos - x * sin

    return flow


def waves(x: Tensor, y: Tensor, speed: float, frame: float) -> tuple[Tensor, Tensor]:
    phase = speed * frame / 6
    return x, y + 4 * (torch.sin(x / 10 - phase) - torch.sin(x / 10))


def sway(x: Tensor, y: Tensor, speed: float, frame: float) -> tuple[Tensor, Tensor]:
    height = (48 - y) / 96
    return x - 10 * height * math.sin(speed * frame / 7), y


def shake(x: Tensor, y: Tensor, speed: float, frame: float) -> tuple[Tensor, Tensor]:
    """Speed changes the amplitude, not the frequency: out of phase, the shakes of all speeds would average to none."""
    right, down = (1.6 * speed * math.sin(radians * frame) for radians in SHAKES_PER_FRAME)
    return x + right, y + down


def pulse(x: Tensor, y: Tensor, speed: float, frame: float) -> tuple[Tensor, Tensor]:
    factor = math.exp(-0.12 * math.sin(speed * frame / 6))
    return x * factor, y * factor


def swirl(x: Tensor, y: Tensor, speed: float, frame: float) -> tuple[Tensor, Tensor]:
    angle = speed * frame / 30 * torch.exp(-(x**2 + y**2) / 40**2)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return x * cos + y * sin, y * cos - x * sin


def camera(*verb_phrases: str) -> tuple[str, ...]:
    return tuple(f"{subject} {phrase}" for phrase in verb_phrases for subject in ("the camera", "camera"))


def pans(direction: str, *others: str) -> tuple[str, ...]:
    """Common phrases for a pan in one direction."""
    named = (
        *(f"pan {direction}", f"panning {direction}", f"pan to the {direction}", f"move {direction}"),
        *(f"slow pan {direction}", f"{direction}ward pan"),
    )
    return (*named, *camera(f"pans {direction}", f"moves {direction}", f"slides {direction}"), *others)


MOTIONS: dict[str, Motion] = {
    "pan left": Motion(pans("left", "truck left", "look left", "camera panning to the left"), 2, CAMERA, pan(-1, 0)),
    "pan right": Motion(
        pans("right", "truck right", "look right", "camera panning to the right"), 2, CAMERA, pan(1, 0)
    ),
    "pan up": Motion(pans("up", "tilt up", *camera("tilts up", "rises"), "crane up"), 2, CAMERA, pan(0, -1)),
    "pan down": Motion(pans("down", "tilt down", *camera("tilts down", "sinks"), "crane down"), 2, CAMERA, pan(0, 1)),
    "zoom in": Motion(
        (
            *("zoom in", "zooming in", "push in", "dolly in", "closer", "slow zoom in", "a close-up"),
            *camera("zooms in", "moves closer", "pushes in", "moves forward"),
        ),
        2,
        CAMERA,
        zoom(1),
    ),
    "zoom out": Motion(
        (
            *("zoom out", "zooming out", "pull back", "dolly out", "slow zoom out", "a wider view"),
            *camera("zooms out", "moves away", "pulls back", "moves backward"),
        ),
        2,
        CAMERA,
        zoom(-1),
    ),
    "rotate clockwise": Motion(
        (
            *("rotate clockwise", "it turns clockwise", "turning clockwise", "spin clockwise", "roll right"),
            *("rotating clockwise", "clockwise rotation"),
        ),
        1.5,
        CAMERA,
        rotate(1),
    ),
    "rotate counterclockwise": Motion(
        (
            *("rotate counterclockwise", "it turns counterclockwise", "turning counterclockwise"),
            *("spin counterclockwise", "roll left", "rotating counterclockwise", "counterclockwise rotation"),
        ),
        1.5,
        CAMERA,
        rotate(-1),
    ),
    "waves": Motion(
        (
            *("waves", "rippling waves", "it ripples like water", "waves on the water", "ripples", "the water moves"),
            *("gentle waves", "the sea moves", "rippling"),
        ),
        2.5,
        CONTENT,
        waves,
    ),
    "sway": Motion(
        (
            *("sway", "swaying in the wind", "it sways in the wind", "the wind blows", "it swings", "a breeze"),
            *("swaying", "moving in the breeze", "in the wind"),
        ),
        1.5,
        CONTENT,
        sway,
    ),
    "shake": Motion(
        ("shake", "it shakes", "an earthquake", "it trembles", "camera shake", "shaking", "a handheld camera"),
        4,
        CONTENT,
        shake,
    ),
    "pulse": Motion(("pulse", "it pulses", "it breathes", "a heartbeat", "breathing", "pulsing"), 1.5, CONTENT, pulse),
    "swirl": Motion(
        ("swirl", "it swirls", "a whirlpool", "it twists", "a vortex", "swirling", "twisting"), 2.5, CONTENT, swirl
    ),
    "brighten": Motion(
        (
            *("it gets brighter", "the light brightens", "sunrise", "day breaks", "brighten", "lights on"),
            *("getting brighter", "the sun comes out"),
        ),
        1.2,
        LIGHT,
        still,
        0.6,
    ),
    "darken": Motion(
        (
            *("it gets darker", "the light fades", "sunset", "night falls", "darken", "lights off"),
            *("getting darker", "fade to black", "dusk"),
        ),
        1.2,
        LIGHT,
        still,
        -0.6,
    ),
}
SUBJECTS = (
    *("a cat", "a dog", "a woman", "a man", "a portrait", "a cup of coffee", "a rocket", "a galaxy"),
    *("a street", "a house", "a tree", "flowers", "a car", "a mountain", "the sea", "the sky"),
    *("a bird", "a motorcycle", "stones", "grass", "a beach", "a city at night", "a table", "a photo"),
)
JOINTS = ("{} while {}", "{} and {}", "{}, {}", "{}, then {}")
MIXED_SHARE = 0.2
STILL_SHARE = 0.08


@dataclass(frozen=True)
class Scene:
    """The contents of a clip: one motion, or two of different kinds, at one speed.

    Attributes:
        speed: pixels per frame, 0..`TOP_SPEED`.
        caption: a sentence that describes the motions.
    """

    motions: tuple[Motion, ...]
    speed: float
    caption: str

    @property
    def intensity(self) -> float:
        """Motion intensity, 0..19; unlike a similarity of frames, it is comparable between kinds of motion."""
        return MAX_INTENSITY * self.speed / TOP_SPEED


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw a random scene; some stand still, whatever the caption says."""
    names = list(MOTIONS)
    weights = np.array([MOTIONS[name].weight for name in names])
    first, second = (MOTIONS[names[rng.choice(len(names), p=weights / weights.sum())]] for _ in range(2))
    mixed = rng.random() < MIXED_SHARE and first.kind != second.kind
    motions = (first, second) if mixed else (first,)
    speed = 0.0 if rng.random() < STILL_SHARE else TOP_SPEED * rng.uniform()
    return Scene(motions, speed, describe(motions, rng))


def describe(motions: tuple[Motion, ...], rng: np.random.Generator) -> str:
    """A caption for motions: their phrases, sometimes with an unrelated subject."""
    phrases = [str(rng.choice(motion.phrases)) for motion in motions]
    phrase = phrases[0] if len(phrases) == 1 else str(rng.choice(JOINTS)).format(*phrases)
    if rng.random() < 0.5:
        return phrase
    subject = str(rng.choice(SUBJECTS))
    return f"{subject}, {phrase}" if rng.random() < 0.7 else f"{phrase}, {subject}"


def trajectory(
    motions: tuple[Motion, ...], speed: float, frames: int, height: int, width: int, every: int = 1
) -> Tensor:
    """Backward flow `(f, 2, h, w)` of each `every`th frame to the first, in its pixels: channel 0 right, 1 down."""
    unit = math.sqrt(height * width / UNIT_AREA)
    y, x = torch.meshgrid(
        (torch.arange(height) - (height - 1) / 2) / unit, (torch.arange(width) - (width - 1) / 2) / unit, indexing="ij"
    )
    flows = []
    for frame in range(0, frames * every, every):
        to_x, to_y = x, y
        for motion in motions:
            to_x, to_y = motion.flow(to_x, to_y, speed, frame)
        flows.append(torch.stack((to_x - x, to_y - y)))
    return torch.stack(flows) * unit


def brightness(motions: tuple[Motion, ...], speed: float, frames: int, every: int = 1) -> Tensor:
    """Factor of the pixel values of each `every`th frame, `(f,)`."""
    light = sum(motion.light for motion in motions)
    return (1 + light * speed / TOP_SPEED * every * torch.arange(frames) / (CLIP_FRAMES - 1)).clamp(min=0)


def render(
    picture: Picture, motions: tuple[Motion, ...], speed: float, frames: int, height: int, width: int, every: int = 1
) -> tuple[Tensor, Tensor]:
    """Render a clip of the middle of a picture `(h, w, 3)`, at least as large as a frame, keeping each `every`th frame.

    Returns:
        Frames `(f, h, w, 3)` uint8, and their backward flow `(f, 2, h, w)`.
    """
    source = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float()[None]
    flow = trajectory(motions, speed, frames, height, width, every)
    y, x = torch.meshgrid(torch.arange(height) - (height - 1) / 2, torch.arange(width) - (width - 1) / 2, indexing="ij")
    grid = torch.stack((2 * (x + flow[:, 0]) / picture.shape[1], 2 * (y + flow[:, 1]) / picture.shape[0]), dim=-1)
    pixels = F.grid_sample(
        source.expand(frames, -1, -1, -1), grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )
    lit = pixels * brightness(motions, speed, frames, every)[:, None, None, None]
    return lit.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1), flow


def window(picture: Picture, height: int, width: int, rng: np.random.Generator) -> Picture:
    """A random crop of a picture, up to twice as large as the frame, to leave room for pans."""
    tall, wide = min(picture.shape[0], 2 * height), min(picture.shape[1], 2 * width)
    top, left = rng.integers(picture.shape[0] - tall + 1), rng.integers(picture.shape[1] - wide + 1)
    return picture[top : top + tall, left : left + wide]
