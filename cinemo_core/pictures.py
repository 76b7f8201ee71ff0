"""Opens photos (JPEG, PNG, WebP, AVIF, HEIC), checking their headers before decoding. Knows nothing of models."""

import re
import warnings
from pathlib import Path

from PIL import Image

from cinemo_spec.errors import InvalidImage
from cinemo_spec.photo_files import FORMATS, decoded_pixels, open_photo, photo_format

MAX_PIXELS = 100_000_000
MAX_SCANS = 50
"""Limit for progressive JPEGs: each scan covers the whole picture, however short it is; encoders write about ten."""

MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9


def open_picture(
    source: Path | bytes,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    formats: tuple[str, ...] = FORMATS,
    draft: tuple[int, int] | None = None,
) -> Image.Image:
    """Open and decode a picture in one of the formats; a JPEG is downscaled while decoding if `draft`'s size suffices.

    Raises:
        InvalidImage: another format, damaged, or beyond the limits.
    """
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        with warnings.catch_warnings():
            # Pillow has a limit of its own.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            name = photo_format(data)
            if name not in formats:
                raise InvalidImage(f"the picture is not one of {', '.join(formats)}, judging by its first bytes")
            picture = open_photo(data, name)
        if decoded_pixels(picture, data) > max_pixels:
            raise InvalidImage(
                f"the picture is {picture.width}x{picture.height} pixels; at most {max_pixels:,} are allowed"
            )
        if picture.format in ("JPEG", "MPO") and scans(data, max_scans + 1) > max_scans:
            raise InvalidImage(f"the picture has more than {max_scans} scans; save it again, or in another format")
        if draft:
            picture.draft(None, draft)
        picture.load()
    except Image.DecompressionBombError as error:
        raise InvalidImage(f"the picture has too many pixels; at most {max_pixels:,} are allowed") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidImage(f"the picture cannot be decoded: {error}") from error
    return picture


def scans(jpeg: bytes, most: int) -> int:
    """Number of scans in the first picture of a file, counted up to `most`."""
    found, position = 0, 2
    while found < most and (marker := MARKER.search(jpeg, position)):
        code, start = marker[1][0], marker.end()
        if code == END_OF_IMAGE:
            break
        position = start if 0xD0 <= code <= 0xD8 else start + max(2, int.from_bytes(jpeg[start : start + 2], "big"))
        if code == START_OF_SCAN:
            found += 1
            following = AFTER_SCAN.search(jpeg, position)
            if following is None:
                break
            position = following.start()
    return found
