"""Only a JPEG's pixels are kept, bit for bit."""

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from service.media.jpeg import AFTER_SCAN, PLAIN_JFIF, parse_jpeg
from tests.pictures import encoded, noise

NOISE = noise(56, 40)
MAX_SCANS = 50
SECRET = b"where the photo was taken"
SHARED: dict[str, Any] = {"progressive": True, "optimize": True, "quality": 90}


def jpeg(image: Image.Image = NOISE, **options: Any) -> bytes:
    return encoded(image, "JPEG", **options)


def pixels(data: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(data)))


def bare(data: bytes) -> bytes:
    kept = parse_jpeg(data, MAX_SCANS)
    assert kept is not None
    return kept.data


def segment(code: int, body: bytes) -> bytes:
    return bytes((0xFF, code)) + (len(body) + 2).to_bytes(2) + body


@pytest.mark.parametrize(
    "given",
    [
        jpeg(),
        jpeg(quality=30, subsampling=2),
        jpeg(**SHARED),
        jpeg(restart_marker_rows=1),
        jpeg(NOISE.convert("L")),
        jpeg(NOISE.convert("CMYK")),
        jpeg(NOISE, keep_rgb=True),
        jpeg(Image.new("RGB", (1, 1))),
    ],
    ids=["baseline", "subsampled", "progressive", "restarts", "gray", "cmyk", "rgb", "one-pixel"],
)
def test_every_kind_of_jpeg_keeps_its_pixels(given: bytes) -> None:
    assert np.array_equal(pixels(bare(given)), pixels(given))


def test_metadata_comments_thumbnails_and_trailing_data_are_removed() -> None:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = jpeg()
    given = jpeg(exif=exif, comment=SECRET, icc_profile=profile, xmp=SECRET)
    thumbnail = segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x01\x01" + SECRET)
    hidden = plain[:2] + thumbnail + segment(0xEE, b"Adobe" + SECRET) + segment(0xEF, SECRET) + plain[2:] + SECRET
    for each in (given, hidden):
        assert SECRET in each
        assert SECRET not in bare(each)
        assert np.array_equal(pixels(bare(each)), pixels(plain))
    assert len(bare(given)) == len(plain)


def test_a_stripped_jpeg_is_not_changed() -> None:
    once = bare(jpeg(comment=SECRET, **SHARED))
    assert bare(once) == once
    assert once.startswith(b"\xff\xd8" + PLAIN_JFIF)


def test_bytes_that_look_like_markers_do_not_end_a_scan() -> None:
    assert AFTER_SCAN.search(b"\x01\xff\x00\xff\xd3\xff\xff\xd9").start() == 6  # type: ignore[union-attr]


@pytest.mark.parametrize("length", [0, 1, 2, 3, 20, 22, 300, -400, -2, -1])
def test_a_truncated_jpeg_is_rejected(length: int) -> None:
    assert parse_jpeg(jpeg()[:length], MAX_SCANS) is None


@pytest.mark.parametrize(
    "given",
    [b"\xff\xd8\xff", b"\xff\xd8\xff\xd8", b"\xff\xd8\xff\xe1\x00\x01", b"\xff\xd8\x00\xff\xd9", b"GIF89a"],
)
def test_invalid_segments_are_rejected(given: bytes) -> None:
    assert parse_jpeg(given, MAX_SCANS) is None


def verdict(data: bytes) -> str:
    """A decoder's verdict on a file."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            image.draft(None, (1, 1))
            image.load()
            return f"{image.mode}"
    except OSError as error:
        return str(error)


def test_a_decoder_rejects_the_sample_exactly_if_it_rejects_the_file() -> None:
    given = jpeg(noise(160, 120), quality=95, restart_marker_rows=1)
    head = given.index(b"\xff\xda") + 14
    draw = random.Random(7)
    verdicts = set()
    for _ in range(400):
        damaged = bytearray(given)
        for _ in range(draw.randint(1, 5)):
            damaged[draw.randrange(2, head if draw.random() < 0.7 else len(given))] = draw.randrange(256)
        kept = parse_jpeg(bytes(damaged), MAX_SCANS)
        if kept and kept.sample:
            assert len(kept.sample) < len(kept.data) / 4
            assert verdict(kept.sample) == verdict(kept.data)
            verdicts.add(verdict(kept.sample))
    assert "RGB" in verdicts
    assert len(verdicts) > 2


def test_a_jpeg_with_several_scans_has_no_sample() -> None:
    kept = parse_jpeg(jpeg(**SHARED), MAX_SCANS)
    assert kept is not None
    assert not kept.sample
