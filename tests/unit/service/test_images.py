"""What is kept of an uploaded picture, and which are refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from service.errors import ImageAnimated, ImageCorrupt, ImageTooLarge, ImageUnsupported, Problem
from service.images import clean_image
from service.settings import Settings

SETTINGS = Settings(url_signing_key="for tests alone", max_image_pixels=10_000, max_image_side=500)
ORIENTATION, GPS = 0x0112, 0x8825


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 99))


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_formats_become_png_of_the_same_size(kind: str) -> None:
    cleaned = opened(clean_image(encoded(Image.new("RGB", (40, 30), "teal"), kind), SETTINGS))
    assert (cleaned.format, cleaned.mode, cleaned.size) == ("PNG", "RGB", (40, 30))


def test_a_photo_taken_sideways_is_stored_upright_and_without_metadata() -> None:
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[ORIENTATION], exif[GPS] = 6, {1: "N"}
    cleaned = opened(clean_image(encoded(Image.fromarray(pixels), "JPEG", exif=exif), SETTINGS))
    assert cleaned.size == (30, 40)
    assert np.asarray(cleaned)[:15].mean() > 250 > 5 > np.asarray(cleaned)[25:].mean()
    assert not cleaned.getexif()
    assert not cleaned.info


def test_what_is_transparent_is_stored_white() -> None:
    cleaned = opened(clean_image(encoded(Image.new("RGBA", (8, 8), (9, 9, 9, 0))), SETTINGS))
    assert np.asarray(cleaned).min() == 255


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", ImageCorrupt),
        (b"hello", ImageUnsupported),
        (encoded(Image.new("RGB", (8, 8)), "GIF"), ImageUnsupported),
        (encoded(Image.new("RGB", (8, 8)), "BMP"), ImageUnsupported),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ImageUnsupported),
        (b"\xff\xd8\xff", ImageCorrupt),
        (encoded(Image.effect_noise((90, 90), 50), "JPEG")[:-400], ImageCorrupt),
        (encoded(Image.effect_noise((90, 90), 50), "PNG")[:-400], ImageCorrupt),
        (encoded(Image.new("RGB", (200, 51))), ImageTooLarge),
        (encoded(Image.new("RGB", (501, 2))), ImageTooLarge),
        (png_header(30_000, 30_000), ImageTooLarge),
        (png_header(2**31 - 1, 2**31 - 1), ImageTooLarge),
        (
            encoded(Image.new("RGB", (8, 8)), "WEBP", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")]),
            ImageAnimated,
        ),
        (
            encoded(Image.new("RGB", (8, 8)), "PNG", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")]),
            ImageAnimated,
        ),
    ],
)
def test_a_picture_that_cannot_be_used_is_refused_for_its_reason(data: bytes, problem: type[Problem]) -> None:
    with pytest.raises(problem):
        clean_image(data, SETTINGS)
