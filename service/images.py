"""What an uploaded picture must be, and what is kept of it: upright RGB pixels, no metadata."""

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from service.errors import ImageAnimated, ImageCorrupt, ImageTooLarge, ImageUnsupported
from service.settings import Settings

MAGIC = {"JPEG": (0, b"\xff\xd8\xff"), "PNG": (0, b"\x89PNG\r\n\x1a\n"), "WEBP": (8, b"WEBP")}


def clean_image(data: bytes, settings: Settings) -> bytes:
    """Check a JPEG, PNG or WebP and give it back as PNG, turned upright, on white, without metadata.

    Raises:
        ImageUnsupported: not one of the three formats.
        ImageTooLarge: more pixels than allowed, by the header, before anything is decoded.
        ImageAnimated: it holds more than one frame.
        ImageCorrupt: empty, truncated or damaged.
    """
    if not data:
        raise ImageCorrupt("the image is empty (0 bytes)")
    formats = [name for name, (start, magic) in MAGIC.items() if data[start:].startswith(magic)]
    if not formats:
        raise ImageUnsupported("the image is none of JPEG, PNG, WebP, going by its first bytes")
    try:
        with warnings.catch_warnings():
            # Pillow's own limit on pixels is looser than ours, which is checked just below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=formats)
            check_size(image, settings)
            if getattr(image, "n_frames", 1) > 1:
                raise ImageAnimated("the image is animated; send a still one")
            return upright_png(image)
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"the image has too many pixels: at most {settings.max_image_pixels:,}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ImageCorrupt(f"the image is truncated or damaged: {error}") from error


def check_size(image: Image.Image, settings: Settings) -> None:
    """Compare the header's width and height with what is allowed."""
    side, pixels = settings.max_image_side, settings.max_image_pixels
    if max(image.size) > side or image.width * image.height > pixels:
        size = f"{image.width}x{image.height}"
        raise ImageTooLarge(f"the image is {size} pixels; allowed are {side:,} a side and {pixels:,} in all")


def upright_png(image: Image.Image) -> bytes:
    """Decode, apply the EXIF orientation, flatten on white and encode anew."""
    image.load()
    pixels = ImageOps.exif_transpose(image).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", pixels.size, "white"), pixels).convert("RGB")
    buffer = io.BytesIO()
    flat.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
