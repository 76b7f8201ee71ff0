"""What an uploaded picture must be, and what is kept of it: upright RGB pixels, no metadata, nothing hidden beside."""

import io
import warnings
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from service.errors import ImageAnimated, ImageCorrupt, ImageTooLarge, ImageUnsupported
from service.jpeg import bare_jpeg
from service.settings import Settings

MAGIC = {"JPEG": (0, b"\xff\xd8\xff"), "PNG": (0, b"\x89PNG\r\n\x1a\n"), "WEBP": (8, b"WEBP")}

KEPT_PIXELS = 4
"""For each pixel of the largest video: as many as a crop to any shape or a larger size on a rerun can use."""

# A JPEG has lost more already than it loses here (some 50 dB are left), and encodes ten times as fast as a PNG.
JPEG = {"quality": 98, "subsampling": 0}


@dataclass(frozen=True)
class CleanImage:
    """An encoded picture that holds its pixels alone."""

    data: bytes
    content_type: str
    suffix: str
    size: tuple[int, int]


def clean_image(data: bytes, settings: Settings) -> CleanImage:
    """Check a JPEG, PNG or WebP, and have it upright, on white, without metadata.

    A JPEG keeps its very pixels where they stand upright, and is a JPEG in any case; what came lossless stays so, as
    PNG. What is far larger than any video is made smaller.

    Raises:
        ImageUnsupported: not one of the three formats.
        ImageTooLarge: more pixels than allowed, by the header, before anything is decoded.
        ImageAnimated: it holds more than one frame.
        ImageCorrupt: empty, truncated or damaged.
    """
    if not data:
        raise ImageCorrupt("the image is empty (0 bytes)")
    formats = image_formats(data)
    if not formats:
        raise ImageUnsupported("the image is none of JPEG, PNG, WebP, going by its first bytes")
    try:
        with warnings.catch_warnings():
            # Pillow's own limit on pixels is looser than ours, which is checked just below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=formats)
            check_size(image, settings)
            # A phone keeps depth or brightness beside a JPEG as further pictures (MPO); it is a still one all the same.
            if formats != ["JPEG"] and getattr(image, "n_frames", 1) > 1:
                raise ImageAnimated("the image is animated; send a still one")
            max_pixels = KEPT_PIXELS * settings.max_output_pixels
            if formats == ["JPEG"] and (bare := kept_as_it_is(image, data, max_pixels)):
                return CleanImage(bare, "image/jpeg", "jpg", image.size)
            return encode(upright(image, max_pixels), was_jpeg=formats == ["JPEG"])
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"the image has too many pixels: at most {settings.max_image_pixels:,}") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ImageCorrupt(f"the image is truncated or damaged: {error}") from error


def image_formats(data: bytes) -> list[str]:
    """The format that the first bytes tell, if it is one of the three."""
    return [name for name, (start, magic) in MAGIC.items() if data[start:].startswith(magic)]


def check_size(image: Image.Image, settings: Settings) -> None:
    """Compare the header's width and height with what is allowed."""
    side, pixels = settings.max_image_side, settings.max_image_pixels
    if max(image.size) > side or image.width * image.height > pixels:
        size = f"{image.width}x{image.height}"
        raise ImageTooLarge(f"the image is {size} pixels; allowed are {side:,} a side and {pixels:,} in all")


def kept_as_it_is(image: Image.Image, data: bytes, max_pixels: int) -> bytes | None:
    """The JPEG with its own pixels and nothing else; None where they have to be turned, converted or made fewer.

    Raises whatever Pillow raises where they cannot be decoded.
    """
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    if turned or image.mode != "RGB" or image.width * image.height > max_pixels:
        return None
    bare = bare_jpeg(data)
    if bare is None:
        return None
    with Image.open(io.BytesIO(bare), formats=["JPEG"]) as reread:
        if (reread.size, reread.mode) != (image.size, image.mode):
            return None
        # All of the entropy-coded data is read, which is what can be damaged, for half of the time.
        reread.draft(None, (1, 1))
        reread.load()
    return bare


def upright(image: Image.Image, max_pixels: int) -> Image.Image:
    """Decode, bring to at most so many pixels, apply the EXIF orientation and flatten on white."""
    scale = (max_pixels / (image.width * image.height)) ** 0.5
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if scale < 1:
        # A JPEG decodes to a half or less of its size for a fraction of the time.
        image.draft(None, size)
    image.load()
    turned = eight_bit(ImageOps.exif_transpose(image))
    flat = turned.convert("RGB") if not turned.has_transparency_data else on_white(turned)
    if scale >= 1:
        return flat
    size = size if turned.size == image.size else size[::-1]
    return flat.resize(size, Image.Resampling.LANCZOS)


def eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey, which Pillow would cut off at 255, in 256 shades; other pictures as they are."""
    if not image.mode.startswith("I"):
        return image
    shades = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    # One of 65,536 shades that a PNG names as transparent is none of these.
    shades.info.pop("transparency", None)
    return shades


def on_white(image: Image.Image) -> Image.Image:
    pixels = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", pixels.size, "white"), pixels).convert("RGB")


def encode(image: Image.Image, was_jpeg: bool) -> CleanImage:
    buffer = io.BytesIO()
    # What Pillow remembers of the file that it was read from would be written, too.
    image.info.clear()
    if was_jpeg:
        image.save(buffer, "JPEG", **JPEG)
        return CleanImage(buffer.getvalue(), "image/jpeg", "jpg", image.size)
    image.save(buffer, "PNG", compress_level=1)
    return CleanImage(buffer.getvalue(), "image/png", "png", image.size)
