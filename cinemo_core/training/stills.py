"""A dataset of photos, animated during training into an unlimited number of clips, captioned by their motion.

The flow of each frame back to the photo is known exactly. A clip depends only on the seed and its number.
"""

from functools import cached_property, lru_cache

import numpy as np
import torch.nn.functional as F
from PIL import Image

from cinemo_core.folders import is_resource_fork
from cinemo_core.media import Frames, flat_image
from cinemo_core.pictures import open_picture
from cinemo_core.training.errors import DatasetError
from cinemo_core.training.files import Files
from cinemo_core.training.listing import Listing, Video
from cinemo_core.training.loader import Clip, Clips
from cinemo_core.training.motions import draw_scene, render
from cinemo_core.training.sources import Picture, dead_leaves, recolour
from cinemo_spec.errors import InvalidImage, InvalidVideo
from cinemo_spec.training import DataConfig

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic")
FINEST = 8
"""Side in pixels of the cells over which flow is averaged."""

TEXTURES = 64
TEXTURE_SHARE = 0.25
CAPTION_SCENES = 4000
"""Number of scenes that the vocabulary is learned from, enough to contain every phrase of every motion."""

LARGEST_SIDE = 1280
SMALLEST_WINDOW = 0.35
"""Minimum share of a photo's shorter side that a frame shows."""


def list_stills(files: Files) -> Listing:
    """List the photos of a dataset, sorted by name.

    Raises:
        DatasetError: there are none.
    """
    sizes = files.sizes()
    names = sorted(name for name in sizes if name.lower().endswith(PICTURE_SUFFIXES) and not is_resource_fork(name))
    if not names:
        raise DatasetError(f"the dataset contains no photo: looked for *{', *'.join(PICTURE_SUFFIXES)}")
    return Listing(tuple(Video(name, "", name, 0, sizes[name]) for name in names), {})


def drawn_captions(seed: int) -> list[str]:
    """Captions of random scenes, enough to cover every word."""
    rng = np.random.default_rng(seed)
    return [draw_scene(rng).caption for _ in range(CAPTION_SCENES)]


class MovingStills(Clips):
    """Clips rendered from photos, mixed with textures for variety."""

    @property
    def captioned(self) -> int:
        """All photos, as captions are generated with the motion."""
        return len(self.listing.videos)

    @cached_property
    def _photos(self) -> dict[str, Picture]:
        """Photos read so far, about two megabytes each."""
        return {}

    def _photo(self, video: Video) -> Picture:
        known = self._photos.get(video.name)
        if known is None:
            known = self._photos[video.name] = read_photo(video.read(self.files))
        return known

    def example(self, index: int) -> tuple[Frames, str]:
        """A crop of a photo, and a random caption."""
        rng = np.random.default_rng((self.seed, index))
        return framed(self._photo(self.listing.videos[index]), self.config, rng), draw_scene(rng).caption

    def _cut(self, number: int, epoch: int, index: int) -> Clip:
        rng = np.random.default_rng((self.seed, number))
        config = self.config_of(number)
        if rng.random() < TEXTURE_SHARE:
            picture = texture(int(rng.integers(TEXTURES)))
        else:
            picture = self._photo(self.listing.videos[index])
        still = recolour(framed(picture, config, rng), rng)
        scene = draw_scene(rng)
        frames, flow = render(still, scene.motions, scene.speed, config.frames, config.height, config.width)
        # No codec has smaller cells, and this makes transfers between processes 64 times smaller.
        return Clip(number, scene.caption, scene.intensity, frames, F.avg_pool2d(flow, FINEST), None, None, {})


def read_photo(data: bytes) -> Picture:
    """Decode a photo `(h, w, 3)`, upright, in sRGB and at most `LARGEST_SIDE` pixels wide and high.

    Raises:
        InvalidVideo: the photo is unreadable.
    """
    try:
        small = flat_image(open_picture(data, draft=(LARGEST_SIDE, LARGEST_SIDE)))
    except InvalidImage as error:
        raise InvalidVideo(f"not a readable photo: {error}") from error
    small.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(small)


@lru_cache(maxsize=TEXTURES)
def texture(number: int) -> Picture:
    return dead_leaves(np.random.default_rng(number))


def framed(picture: Picture, config: DataConfig, rng: np.random.Generator) -> Picture:
    """A random crop of a picture in the frame's aspect ratio, scaled to its size."""
    tall, wide = picture.shape[:2]
    largest = min(wide / config.width, tall / config.height)
    scale = largest * rng.uniform(SMALLEST_WINDOW, 1)
    width, height = scale * config.width, scale * config.height
    left, top = rng.uniform(0, wide - width), rng.uniform(0, tall - height)
    part = Image.fromarray(picture).resize(
        (config.width, config.height), Image.Resampling.BILINEAR, (left, top, left + width, top + height)
    )
    return np.asarray(part)
