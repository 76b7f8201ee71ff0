"""Pictures as the model takes them: upright, in sRGB, flat, brought to a size. Knows neither files nor models."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cinemo_core.colour import to_srgb
from cinemo_core.errors import InvalidImage, InvalidParameter
from cinemo_core.formats import Size, Sizes, vanishes

Frames = NDArray[np.uint8]
Fit = Literal["crop", "pad"]


def prepare_image(image: Image.Image, width: int, height: int, fit: Fit = "crop") -> Image.Image:
    """Turn upright, flatten alpha on white, bring to sRGB and to a size in pixels; raises as the two that it calls."""
    return fit_image(flat_image(image), (width, height), fit)


def flat_image(image: Image.Image) -> Image.Image:
    """Turn upright, bring to sRGB by the picture's own profile, and flatten alpha on white.

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
    """Bring an RGB picture to a size.

    `crop` fills the frame and cuts what stands over; `pad` keeps the whole picture between black bars.

    Raises:
        InvalidImage: it is so long that between bars next to nothing of it would be seen.
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
    """Bring a frame `(h, w, 3)` to what the model sees of it in a video; one of that size already is taken as it is."""
    if frame.shape[1::-1] == sizes.model:
        return frame
    return resized(fit_image(Image.fromarray(frame), sizes.video, fit), sizes.model)


def resized(image: Image.Image, size: Size) -> Frames:
    """The pixels `(h, w, 3)` of the whole picture at another size, whatever its shape."""
    return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.LANCZOS))


def eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey, which Pillow would cut off at 255, in 256 shades; other pictures as they are."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
