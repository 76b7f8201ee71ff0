"""Photos with wrong or hostile metadata: only the orientation is read, and never a 500."""

import io
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from service.contract.settings import Settings
from service.media.images import decode, inspect
from service.media.orientation import orientation, transposition
from tests.conftest import Api
from tests.fuzz.mutants import mutant
from tests.fuzz.pictures import SEEDS, fault_of, seeds
from tests.pictures import encoded

SETTINGS = Settings(storage_url="s3://videos")
ORIENTATION = 0x0112
TAGS = {
    "ImageWidth": 0x0100,
    "XResolution": 0x011A,
    "Copyright": 0x8298,
    "ExifIFD": 0x8769,
    "GPS": 0x8825,
    "odd": 0xFFFF,
}
KINDS = range(15)
"""Of values: the twelve that there are, and three that there are not."""


def halves() -> Image.Image:
    """White on the left, black on the right, and wider than high."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:, :20] = 255
    return Image.fromarray(pixels)


def tiff(*entries: tuple[int, int, int, bytes], order: str = "<", start: int = 8) -> bytes:
    """A TIFF of one directory: tags with the kind, number and first four bytes of their values."""
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "I", start)
    body = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        body += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
    return head + body + bytes(4)


def turned(order: str = "<", value: int = 6) -> tuple[int, int, int, bytes]:
    return ORIENTATION, 3, 1, struct.pack(order + "H", value)


def photos(exif: bytes) -> Iterator[bytes]:
    """The same photo in each format, with an unchecked EXIF."""
    for kind in ("JPEG", "PNG", "WEBP"):
        head = b"Exif\0\0" if kind == "JPEG" else b""
        yield encoded(halves(), kind, exif=head + exif, quality=95)


def shape_kept(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(decode(inspect(data, SETTINGS), SETTINGS).data)).size


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_exif_tag_of_the_wrong_type_does_not_affect_the_orientation(tag: str, kind: int) -> None:
    for count in (0, 1, 5, 2**32 - 1):
        wrong = (TAGS[tag], kind, count, b"\xff\xff\xff\xff")
        for entries in ((wrong, turned()), (turned(), wrong)):
            for photo in photos(tiff(*entries)):
                assert shape_kept(photo) == (30, 40)


@pytest.mark.parametrize("tag", ["ImageWidth", "XResolution", "Copyright"])
def test_a_photo_with_an_exif_tag_of_the_wrong_type_is_accepted_over_http(api: Api, tag: str) -> None:
    for photo in photos(tiff((TAGS[tag], 2, 1, b"x"), turned())):
        answer = httpx.post(f"{api.url}/animate", data={"prompt": "waves"}, files={"image": photo})
        assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_exif_orientation_is_turned_upright(value: int, order: str) -> None:
    expected = np.asarray(halves() if value == 1 else halves().transpose(transposition(tiff(turned(value=value)), b"")))  # type: ignore[arg-type]
    for photo in photos(tiff(turned(order, value), order=order)):
        kept = np.asarray(Image.open(io.BytesIO(decode(inspect(photo, SETTINGS), SETTINGS).data)))
        assert kept.shape == expected.shape
        assert np.abs(kept.astype(int) - expected).mean() < 3


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\x00",
        b"II*\x00\xff\xff\xff\xff",
        b"II+\x00\x08\x00\x00\x00",
        b"XX*\x00\x08\x00\x00\x00",
        tiff(turned())[:20],
        tiff(turned(), start=0),
        tiff(turned(value=0)),
        tiff(turned(value=9)),
        tiff((ORIENTATION, 3, 2, b"\x06\0\x06\0")),
        tiff((ORIENTATION, 2, 1, b"6")),
        tiff((ORIENTATION, 5, 1, b"\x08\0\0\0")),
        tiff((ORIENTATION, 3, 0, b"\x06\0")),
        b"II*\x00\x08\x00\x00\x00\xff\xff" + bytes(12 * 65535),
    ],
    ids=range(14),
)
def test_metadata_without_an_orientation_leaves_the_photo_as_it_is(exif: bytes) -> None:
    assert orientation(exif) is None
    for photo in photos(exif if len(exif) < 60_000 else exif[:60_000]):
        assert shape_kept(photo) == (40, 30)


def test_without_an_exif_orientation_that_of_xmp_applies() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert shape_kept(encoded(halves(), "JPEG", xmp=xmp)) == (30, 40)
    assert shape_kept(encoded(halves(), "WEBP", xmp=xmp)) == (30, 40)
    both = encoded(halves(), "JPEG", xmp=xmp, exif=b"Exif\0\0" + tiff(turned(value=1)))
    assert shape_kept(both) == (40, 30)


@pytest.mark.parametrize("path", sorted(SEEDS.iterdir()), ids=lambda path: path.name)
def test_the_fuzzers_seeds_are_accepted_or_rejected(path: Path) -> None:
    assert fault_of(path.read_bytes()) is None


def test_any_bytes_give_either_a_picture_or_a_problem() -> None:
    chance, known = random.Random(12), seeds()
    assert [fault for _ in range(500) if (fault := fault_of(mutant(chance, known)))] == []
