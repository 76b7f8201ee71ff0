"""Malicious pictures are identified by content, and their cost is known before decoding."""

import io
import struct
import time
from pathlib import Path

import pytest
from PIL import Image

from cinemo_core.pictures import open_picture, scans
from cinemo_spec.errors import InvalidImage


def progressive(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 90).convert("RGB").save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()


def with_empty_scans(jpeg: bytes, count: int) -> bytes:
    """The picture with further scans that refine nothing, each over the whole picture."""
    empty = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00" + b"\x00" * 2
    return jpeg[:-2] + empty * count + b"\xff\xd9"


def test_the_scans_of_a_picture_are_counted_up_to_the_limit() -> None:
    jpeg = progressive(64, 64)
    usual = scans(jpeg, 1000)
    assert 5 < usual < 20
    assert scans(with_empty_scans(jpeg, 300), 1000) == usual + 300
    assert scans(with_empty_scans(jpeg, 300), 51) == 51
    assert open_picture(jpeg).size == (64, 64)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_with_many_scans_is_rejected_before_decoding(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(with_empty_scans(progressive(2000, 1500), 1500))
    began = time.process_time()
    with pytest.raises(InvalidImage, match="more than 50 scans"):
        open_picture(path)
    assert time.process_time() - began < 1


def test_a_picture_too_large_is_rejected_by_its_header(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (16, 16)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    with pytest.raises(InvalidImage):
        open_picture(bytes(data))
    with pytest.raises(InvalidImage, match="64x64"):
        open_picture(progressive(64, 64), max_pixels=4000)


@pytest.mark.parametrize("picture_format", ["GIF", "BMP", "TIFF", "PPM", "EPS", "ICO", "TGA"])
def test_only_photos_are_opened_whatever_their_names(picture_format: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (16, 16)).save(path, picture_format)
    with pytest.raises(InvalidImage):
        open_picture(path)


def test_folders_link_cycles_and_missing_files_are_not_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    for name in ("a.jpg", "loop.jpg", "gone.jpg"):
        with pytest.raises(InvalidImage):
            open_picture(tmp_path / name)
