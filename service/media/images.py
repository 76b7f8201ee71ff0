"""Validates a client's picture and reduces it to upright sRGB pixels without metadata."""

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
from service.media.containers import ImageFile, parse_png, parse_webp
from service.media.jpeg import parse_jpeg
from service.media.orientation import transposition

PIXELS_PER_VIDEO_PIXEL = 4
"""Pixels kept for each pixel of the largest video: enough for a crop to any shape, or a larger size on a rerun."""

# A JPEG has already lost more than it loses here (PSNR some 50 dB), and encodes ten times as fast as a PNG.
LOSSY = ("JPEG", *BOXED)
JPEG = {"quality": 98, "subsampling": 0}
BAND_ROWS = 256
"""Rows flattened at a time, so that there are never three copies of a picture in memory."""
BYTES_PER_PIXEL = {"JPEG": 10, "PNG": 10, "WEBP": 26, "AVIF": 26, "HEIF": 26}
"""Peak memory of decoding: the decoded pixels, as RGB, and while they are scaled down; for WebP also the decoder's
canvases (measured by tests/integration/isolation/test_decoding.py)."""
COEFFICIENT_BYTES = 2
"""For each value of a pixel of a JPEG with several scans, whose coefficients are all kept until the last scan."""


@dataclass(frozen=True)
class CleanImage:
    """An encoded picture without metadata; `size` is width and height in pixels."""

    data: bytes
    content_type: str
    suffix: str
    size: tuple[int, int]


@dataclass(frozen=True)
class InspectedImage:
    """A picture that may be decoded.

    Attributes:
        format: its name in Pillow.
        file: its bytes, as far as they are needed, and its metadata.
        size: width and height in pixels.
        unchanged: whether it is kept as it is, since its pixels are upright sRGB, few enough and a JPEG's.
        decoding_bytes: the memory that decoding takes.
    """

    format: str
    file: ImageFile
    size: tuple[int, int]
    unchanged: bool
    decoding_bytes: int

    @property
    def is_quick(self) -> bool:
        """Whether `decode` needs neither time nor memory worth mentioning."""
        return self.unchanged and bool(self.file.sample)


def inspect(data: bytes, settings: Settings) -> InspectedImage:
    """Check whatever a JPEG, PNG, WebP, AVIF or HEIC reveals without being decoded.

    Raises:
        ImageUnsupported: not one of these formats.
        ImageTooLarge: more pixels than allowed.
        ImageTooComplex: more scans, segments or chunks than allowed.
        ImageAnimated: more than one frame.
        ImageCorrupt: empty, or the header cannot be read.
    """
    if not data:
        raise ImageCorrupt("the image is empty (0 bytes)")
    name = photo_format(data)
    if name is None:
        raise ImageUnsupported("the image is not JPEG, PNG, WebP, AVIF or HEIC, going by its first bytes")
    file = parse(name, data, settings)
    with decoder_errors(settings), open_photo(file.data, name) as image:
        check_size(image, settings)
        if name in BOXED:
            file = with_metadata(image, data)
        pixels = decoded_pixels(image, data)
        if pixels > settings.max_image_pixels:
            raise ImageTooLarge(f"the image has {pixels:,} pixels; allowed are {settings.max_image_pixels:,}")
        coefficients = COEFFICIENT_BYTES * len(image.getbands()) if file.scans > 1 else 0
        decoding_bytes = len(file.data) + pixels * (BYTES_PER_PIXEL[name] + coefficients)
        unchanged = (
            name == "JPEG"
            and image.mode == "RGB"
            and pixels <= max_pixels(settings)
            and transposition(file.exif, file.xmp) is None
            and to_srgb(file.profile, image.mode) is None
        )
        return InspectedImage(name, file, image.size, unchanged, decoding_bytes)


def decode(inspected: InspectedImage, settings: Settings) -> CleanImage:
    """Return a picture upright, in sRGB, on white, without metadata.

    A JPEG keeps its exact pixels if they are upright and sRGB. JPEG, AVIF and HEIC become JPEG; lossless formats become
    PNG. Pictures far larger than any video are scaled down.

    Raises:
        ImageCorrupt: truncated or damaged.
    """
    file = inspected.file
    with decoder_errors(settings):
        if inspected.unchanged:
            with open_photo(file.sample or file.data, inspected.format) as image:
                # Whether a decoder takes it; to an eighth of its size, in half the time.
                image.draft(None, (1, 1))
                image.load()
            return CleanImage(file.data, "image/jpeg", "jpg", inspected.size)
        transpose = transposition(file.exif, file.xmp)
        with open_photo(file.data, inspected.format) as image:
            flat = flatten(image, max_pixels(settings), to_srgb(file.profile, image.mode))
        return encode(flat if transpose is None else flat.transpose(transpose), inspected.format in LOSSY)


def max_pixels(settings: Settings) -> int:
    """How many pixels are kept."""
    return PIXELS_PER_VIDEO_PIXEL * settings.max_output_pixels


def parse(name: str, data: bytes, settings: Settings) -> ImageFile:
    if name == "PNG":
        return parse_png(data)
    if name == "WEBP":
        return parse_webp(data)
    if name in BOXED:
        return ImageFile(data)
    file = parse_jpeg(data, settings.max_image_scans)
    if file is None:
        raise ImageCorrupt("the image is truncated or damaged: its segments are not those of a JPEG")
    return file


def with_metadata(image: Image.Image, data: bytes) -> ImageFile:
    """An AVIF or HEIC with the metadata that Pillow found; raises `ImageAnimated` if it has several frames."""
    if image.format == "AVIF" and getattr(image, "n_frames", 1) > 1:
        raise ImageAnimated("the image is animated; send a still one")
    return ImageFile(data, image.info.get("exif") or b"", profile=image.info.get("icc_profile") or b"")


@contextmanager
def decoder_errors(settings: Settings) -> Iterator[None]:
    """Turn a decoder's errors into problems; whatever it raises, the client's bytes have caused it."""
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
        raise ServiceBusy("there is not enough memory to decode the image; try again") from error
    except UnidentifiedImageError as error:
        raise ImageCorrupt("the image is truncated or damaged: its header cannot be read") from error
    except Exception as error:
        raise ImageCorrupt(f"the image is truncated or damaged: {error}") from error


def check_size(image: Image.Image, settings: Settings) -> None:
    """Check the width and height in the header; raises `ImageTooLarge`."""
    side, pixels = settings.max_image_side, settings.max_image_pixels
    if max(image.size) > side or image.width * image.height > pixels:
        size = f"{image.width}x{image.height}"
        raise ImageTooLarge(f"the image is {size} pixels; allowed are {side:,} a side and {pixels:,} in all")


def flatten(image: Image.Image, most: int, conversion: Conversion | None) -> Image.Image:
    """Decode, flatten on white, and scale down to at most `most` pixels."""
    scale = (most / (image.width * image.height)) ** 0.5
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if scale < 1:
        # A JPEG decodes to half its size or less in a fraction of the time.
        image.draft(None, size)
    image.load()
    is_flat = conversion is None and image.mode == "RGB" and not image.has_transparency_data
    flat = image if is_flat else flatten_bands(image, conversion)
    return flat.resize(size, Image.Resampling.LANCZOS) if scale < 1 else flat.copy()


def flatten_bands(image: Image.Image, conversion: Conversion | None) -> Image.Image:
    """The picture in sRGB, on white where transparent."""
    flat = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND_ROWS):
        band = eight_bit(image.crop((0, top, image.width, min(top + BAND_ROWS, image.height))))
        band = conversion(band) if conversion else band
        flat.paste(on_white(band) if band.has_transparency_data else band.convert("RGB"), (0, top))
    return flat


def eight_bit(image: Image.Image) -> Image.Image:
    """Reduce 16-bit grey, which Pillow would clip at 255, to 256 shades; return other pictures unchanged."""
    if not image.mode.startswith("I"):
        return image
    shades = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    # The shade that a PNG declares transparent is one of 65,536, not of these.
    shades.info.pop("transparency", None)
    return shades


def on_white(image: Image.Image) -> Image.Image:
    pixels = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", pixels.size, "white"), pixels).convert("RGB")


def encode(image: Image.Image, was_jpeg: bool) -> CleanImage:
    buffer = io.BytesIO()
    # Pillow would write metadata of the file that it has read.
    image.info.clear()
    if was_jpeg:
        image.save(buffer, "JPEG", **JPEG)
        return CleanImage(buffer.getvalue(), "image/jpeg", "jpg", image.size)
    image.save(buffer, "PNG", compress_level=1)
    return CleanImage(buffer.getvalue(), "image/png", "png", image.size)
