"""What an uploaded picture must be, and what is kept of it: upright RGB pixels, no metadata, nothing hidden beside."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from service.containers import Bare, bare_png, bare_webp
from service.errors import ImageCorrupt, ImageTooLarge, ImageUnsupported, Problem, ServiceBusy
from service.jpeg import bare_jpeg
from service.orientation import turn_of
from service.settings import Settings

MAGIC = {"JPEG": (0, b"\xff\xd8\xff"), "PNG": (0, b"\x89PNG\r\n\x1a\n"), "WEBP": (8, b"WEBP")}

KEPT_PIXELS = 4
"""For each pixel of the largest video: as many as a crop to any shape or a larger size on a rerun can use."""

# A JPEG has lost more already than it loses here (some 50 dB are left), and encodes ten times as fast as a PNG.
JPEG = {"quality": 98, "subsampling": 0}
BAND_ROWS = 256
"""A picture is flattened so many rows at a time, so that there are never three of it in memory."""
BYTES_OF_A_PIXEL = {"JPEG": 10, "PNG": 10, "WEBP": 26}
"""What decoding holds at most: the pixels as they come, as RGB, and while they are made fewer; of WebP its decoder's
canvases, too (tests/integration/isolation/test_decoding.py measures it)."""
COEFFICIENT_BYTES = 2
"""Of a JPEG in several scans, for each value of a pixel: all are kept until the last one has come."""


@dataclass(frozen=True)
class CleanImage:
    """An encoded picture that holds its pixels alone."""

    data: bytes
    content_type: str
    suffix: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Looked:
    """A picture that may be decoded: its format, its file without metadata, and the bytes that decoding takes."""

    format: str
    bare: Bare
    decoding_bytes: int


def clean_image(data: bytes, settings: Settings) -> CleanImage:
    """Look at a picture, then decode it; raises as `look` and `decode`."""
    return decode(look(data, settings), settings)


def look(data: bytes, settings: Settings) -> Looked:
    """Check all that can be told of a JPEG, PNG or WebP before anything of it is decoded.

    Raises:
        ImageUnsupported: not one of the three formats.
        ImageTooLarge: more pixels than allowed.
        ImageTooComplex: it comes in more scans or parts than allowed.
        ImageAnimated: it holds more than one frame.
        ImageCorrupt: empty, or of a header that cannot be read.
    """
    if not data:
        raise ImageCorrupt("the image is empty (0 bytes)")
    formats = image_formats(data)
    if not formats:
        raise ImageUnsupported("the image is none of JPEG, PNG, WebP, going by its first bytes")
    bare = bare_file(formats[0], data, settings)
    with reading(settings), open_bare(formats[0], bare) as image:
        check_size(image, settings)
        pixels, values = image.width * image.height, len(image.getbands())
        coefficients = COEFFICIENT_BYTES * values if bare.scans > 1 else 0
        return Looked(formats[0], bare, len(bare.data) + pixels * (BYTES_OF_A_PIXEL[formats[0]] + coefficients))


def decode(looked: Looked, settings: Settings) -> CleanImage:
    """Have a picture upright, on white, without metadata.

    A JPEG keeps its very pixels where they stand upright, and is a JPEG in any case; what came lossless stays so, as
    PNG. What is far larger than any video is made smaller.

    Raises:
        ImageCorrupt: truncated or damaged.
    """
    turn = turn_of(looked.bare.exif, looked.bare.xmp)
    max_pixels = KEPT_PIXELS * settings.max_output_pixels
    is_jpeg = looked.format == "JPEG"
    with reading(settings):
        with open_bare(looked.format, looked.bare) as image:
            if is_jpeg and turn is None and image.mode == "RGB" and image.width * image.height <= max_pixels:
                # All of the entropy-coded data is read, which is what can be damaged, for half of the time.
                size = image.size
                image.draft(None, (1, 1))
                image.load()
                return CleanImage(looked.bare.data, "image/jpeg", "jpg", size)
        with open_bare(looked.format, looked.bare) as image:
            flat = flattened(image, max_pixels)
        return encode(flat if turn is None else flat.transpose(turn), is_jpeg)


def image_formats(data: bytes) -> list[str]:
    """The format that the first bytes tell, if it is one of the three."""
    return [name for name, (start, magic) in MAGIC.items() if data[start:].startswith(magic)]


def bare_file(name: str, data: bytes, settings: Settings) -> Bare:
    if name == "PNG":
        return bare_png(data)
    if name == "WEBP":
        return bare_webp(data)
    bare = bare_jpeg(data, settings.max_image_scans)
    if bare is None:
        raise ImageCorrupt("the image is truncated or damaged: its segments are not those of a JPEG")
    return bare


def open_bare(name: str, bare: Bare) -> Image.Image:
    return Image.open(io.BytesIO(bare.data), formats=[name])


@contextmanager
def reading(settings: Settings) -> Iterator[None]:
    """Whatever a decoder says of a stranger's bytes, it is they that are wrong."""
    try:
        with warnings.catch_warnings():
            # Pillow's own limit on pixels is looser than ours.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except Problem:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLarge(f"the image has too many pixels: at most {settings.max_image_pixels:,}") from error
    except MemoryError as error:
        raise ServiceBusy("there is no memory left to decode the image; ask again") from error
    except UnidentifiedImageError as error:
        raise ImageCorrupt("the image is truncated or damaged: its header cannot be read") from error
    except Exception as error:
        raise ImageCorrupt(f"the image is truncated or damaged: {error}") from error


def check_size(image: Image.Image, settings: Settings) -> None:
    """Compare the header's width and height with what is allowed."""
    side, pixels = settings.max_image_side, settings.max_image_pixels
    if max(image.size) > side or image.width * image.height > pixels:
        size = f"{image.width}x{image.height}"
        raise ImageTooLarge(f"the image is {size} pixels; allowed are {side:,} a side and {pixels:,} in all")


def flattened(image: Image.Image, max_pixels: int) -> Image.Image:
    """Decode, flatten on white, and bring to at most so many pixels."""
    scale = (max_pixels / (image.width * image.height)) ** 0.5
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if scale < 1:
        # A JPEG decodes to a half or less of its size for a fraction of the time.
        image.draft(None, size)
    image.load()
    flat = image if image.mode == "RGB" and not image.has_transparency_data else in_bands(image)
    return flat.resize(size, Image.Resampling.LANCZOS) if scale < 1 else flat.copy()


def in_bands(image: Image.Image) -> Image.Image:
    """The picture in RGB, on white where it is transparent."""
    flat = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND_ROWS):
        band = eight_bit(image.crop((0, top, image.width, min(top + BAND_ROWS, image.height))))
        flat.paste(on_white(band) if band.has_transparency_data else band.convert("RGB"), (0, top))
    return flat


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
