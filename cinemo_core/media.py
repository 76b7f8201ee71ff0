"""Prepares pictures for the model: upright, in sRGB, without alpha, resized. Knows neither files nor models."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cinemo_spec.colour import to_srgb
from cinemo_spec.errors import InvalidImage, InvalidParameter
from cinemo_spec.formats import Size, Sizes, vanishes
from cinemo_spec.parameters import Fit

Frames = NDArray[np.uint8]
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue (ITU-R BT.601)."""


def prepare_image(image: Image.Image, width: int, height: int, fit: Fit = "crop") -> Image.Image:
    """`flat_image`, then `fit_image` to a size in pixels; raises as these two do."""
    return fit_image(flat_image(image), (width, height), fit)


def flat_image(image: Image.Image) -> Image.Image:
    """Rotate upright, convert to sRGB by the picture's own profile, and flatten alpha onto white.

    Raises:
        InvalidImage: the picture is truncated or damaged.
    """
    try:
        upright = eight_bit(ImageOps.exif_transpose(image))
        conversion = to_srgb(image.info.get("icc_profile") or b"", image.mode)
        upright = (conversion(upright) if conversion else upright).convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidImage(f"the picture is truncated or damaged: {error}") from error
    white = Image.new("RGBA", upright.size, "white")
    return Image.alpha_composite(white, upright).convert("RGB")


def fit_image(flat: Image.Image, size: Size, fit: Fit) -> Image.Image:
    """Resize an RGB picture to fit a frame.

    `crop` fills the frame and crops the rest; `pad` shows the whole picture between black bars.

    Raises:
        InvalidImage: the picture is so narrow or flat that it would vanish between the bars.
        InvalidParameter: `fit` is neither of them.
    """
    if fit == "crop":
        return ImageOps.fit(flat, size, Image.Resampling.LANCZOS)
    if fit == "pad":
        if vanishes(flat.size, size):
            raise InvalidImage(
                f"a picture of {flat.width}x{flat.height} pixels would vanish between the bars of {size[0]}x{size[1]}; "
                "cut it, or use fit crop"
            )
        return ImageOps.pad(flat, size, Image.Resampling.LANCZOS, color="black")
    raise InvalidParameter(f"fit must be crop or pad, got {fit}")


def prepare_frame(frame: Frames, sizes: Sizes, fit: Fit) -> Frames:
    """Fit a frame `(h, w, 3)` of a video to the model's size; a frame of that size is returned unchanged."""
    if frame.shape[1::-1] == sizes.model:
        return frame
    return resized(fit_image(Image.fromarray(frame), sizes.video, fit), sizes.model)


def resized(image: Image.Image, size: Size) -> Frames:
    """Pixels `(h, w, 3)` of the whole picture resized, ignoring its aspect ratio."""
    return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.LANCZOS))


def eight_bit(image: Image.Image) -> Image.Image:
    """Reduce 16-bit grey, which Pillow would clip at 255, to 8 bits; other pictures stay as they are."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
