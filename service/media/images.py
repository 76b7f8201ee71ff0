"""What an uploaded picture must be, and what is kept of it: upright sRGB pixels, no metadata, nothing beside."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from cinemo_spec.colour import Conversion, to_srgb
from cinemo_spec.photo_files import BOXED, decoded_pixels, open_photo, photo_format
from service.contract.problems import ImageAnimated, ImageCorrupt, ImageTooLarge, ImageUnsupported, Problem, ServiceBusy
from service.contract.settings import Settings
from service.media.containers import Bare, bare_png, bare_webp
from service.media.jpeg import bare_jpeg
from service.media.orientation import turn_of

KEPT_PIXELS = 4
"""For each pixel of the largest video: as many as a crop to any shape or a larger size on a rerun can use."""

# A JPEG has lost more already than it loses here (some 50 dB are left), and encodes ten times as fast as a PNG.
LOSSY = ("JPEG", *BOXED)
JPEG = {"quality": 98, "subsampling": 0}
BAND_ROWS = 256
"""A picture is flattened so many rows at a time, so that there are never three of it in memory."""
BYTES_OF_A_PIXEL = {"JPEG": 10, "PNG": 10, "WEBP": 26, "AVIF": 26, "HEIF": 26}
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
    """Check all that can be told of a JPEG, PNG, WebP, AVIF or HEIC before anything of it is decoded.

    Raises:
        ImageUnsupported: not one of these formats.
        ImageTooLarge: more pixels than allowed.
        ImageTooComplex: it comes in more scans or parts than allowed.
        ImageAnimated: it holds more than one frame.
        ImageCorrupt: empty, or of a header that cannot be read.
    """
    if not data:
        raise ImageCorrupt("the image is empty (0 bytes)")
    name = photo_format(data)
    if name is None:
        raise ImageUnsupported("the image is none of JPEG, PNG, WebP, AVIF, HEIC, going by its first bytes")
    bare = bare_file(name, data, settings)
    with reading(settings), open_photo(bare.data, name) as image:
        check_size(image, settings)
        if name in BOXED:
            bare = told_by(image, data)
        pixels = decoded_pixels(image, data)
        if pixels > settings.max_image_pixels:
            raise ImageTooLarge(f"the image has {pixels:,} pixels; allowed are {settings.max_image_pixels:,}")
        coefficients = COEFFICIENT_BYTES * len(image.getbands()) if bare.scans > 1 else 0
        return Looked(name, bare, len(bare.data) + pixels * (BYTES_OF_A_PIXEL[name] + coefficients))


def decode(looked: Looked, settings: Settings) -> CleanImage:
    """Have a picture upright, in sRGB, on white, without metadata.

    A JPEG keeps its very pixels where they are upright and sRGB, and is a JPEG in any case, as is an AVIF or a HEIC;
    what came lossless stays so, as PNG. What is far larger than any video is made smaller.

    Raises:
        ImageCorrupt: truncated or damaged.
    """
    turn = turn_of(looked.bare.exif, looked.bare.xmp)
    max_pixels = KEPT_PIXELS * settings.max_output_pixels
    with reading(settings):
        with open_photo(looked.bare.data, looked.format) as image:
            conversion = to_srgb(looked.bare.profile, image.mode)
            kept = looked.format == "JPEG" and turn is None and conversion is None
            if kept and image.mode == "RGB" and image.width * image.height <= max_pixels:
                # All of the entropy-coded data is read, which is what can be damaged, for half of the time.
                size = image.size
                image.draft(None, (1, 1))
                image.load()
                return CleanImage(looked.bare.data, "image/jpeg", "jpg", size)
        with open_photo(looked.bare.data, looked.format) as image:
            flat = flattened(image, max_pixels, conversion)
        return encode(flat if turn is None else flat.transpose(turn), looked.format in LOSSY)


def bare_file(name: str, data: bytes, settings: Settings) -> Bare:
    if name == "PNG":
        return bare_png(data)
    if name == "WEBP":
        return bare_webp(data)
    if name in BOXED:
        return Bare(data)
    bare = bare_jpeg(data, settings.max_image_scans)
    if bare is None:
        raise ImageCorrupt("the image is truncated or damaged: its segments are not those of a JPEG")
    return bare


def told_by(image: Image.Image, data: bytes) -> Bare:
    """An AVIF or HEIC, and what it tells of itself; raises `ImageAnimated` where it has several frames."""
    if image.format == "AVIF" and getattr(image, "n_frames", 1) > 1:
        raise ImageAnimated("the image is animated; send a still one")
    return Bare(data, image.info.get("exif") or b"", profile=image.info.get("icc_profile") or b"")


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


def flattened(image: Image.Image, max_pixels: int, conversion: Conversion | None) -> Image.Image:
    """Decode, flatten on white, and bring to at most so many pixels."""
    scale = (max_pixels / (image.width * image.height)) ** 0.5
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if scale < 1:
        # A JPEG decodes to a half or less of its size for a fraction of the time.
        image.draft(None, size)
    image.load()
    is_flat = conversion is None and image.mode == "RGB" and not image.has_transparency_data
    flat = image if is_flat else in_bands(image, conversion)
    return flat.resize(size, Image.Resampling.LANCZOS) if scale < 1 else flat.copy()


def in_bands(image: Image.Image, conversion: Conversion | None) -> Image.Image:
    """The picture in sRGB, on white where it is transparent."""
    flat = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND_ROWS):
        band = eight_bit(image.crop((0, top, image.width, min(top + BAND_ROWS, image.height))))
        band = conversion(band) if conversion else band
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
