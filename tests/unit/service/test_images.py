"""What is stored of an uploaded picture, and which are rejected."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage.metrics import peak_signal_noise_ratio

from service.contract.problems import ImageAnimated, ImageCorrupt, ImageTooLarge, ImageUnsupported, Problem
from service.contract.settings import Settings
from service.media.images import decode, inspect
from tests.pictures import encoded, noise, png_header

SETTINGS = Settings(url_signing_key="for tests alone", max_image_pixels=10_000, max_image_side=500)
ORIENTATION, GPS = 0x0112, 0x8825


def cleaned(data: bytes, settings: Settings = SETTINGS) -> Image.Image:
    """What is stored of a picture, decoded."""
    kept = decode(inspect(data, settings), settings)
    image = Image.open(io.BytesIO(kept.data))
    image.load()
    assert (kept.content_type, kept.suffix) in (("image/jpeg", "jpg"), ("image/png", "png"))
    assert image.get_format_mimetype() == kept.content_type
    return image


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


@pytest.mark.parametrize(("kind", "kept"), [("JPEG", "JPEG"), ("PNG", "PNG"), ("WEBP", "PNG")])
def test_the_three_formats_keep_their_size(kind: str, kept: str) -> None:
    image = cleaned(encoded(Image.new("RGB", (40, 30), "teal"), kind))
    assert (image.format, image.mode, image.size) == (kept, "RGB", (40, 30))


def test_lossless_pictures_are_stored_losslessly() -> None:
    photo = noise(90, 60)
    assert np.array_equal(np.asarray(cleaned(encoded(photo))), np.asarray(photo))
    assert np.array_equal(np.asarray(cleaned(encoded(photo, "WEBP", lossless=True))), np.asarray(photo))


def test_an_upright_jpeg_keeps_its_exact_pixels(photo: bytes) -> None:
    settings = Settings(url_signing_key="for tests alone")
    given, kept = (np.asarray(image) for image in (opened(photo), cleaned(photo, settings)))
    assert np.array_equal(given, kept)


def test_rotating_a_jpeg_loses_almost_nothing(photo: bytes) -> None:
    settings = Settings(url_signing_key="for tests alone")
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    sideways = encoded(opened(photo), "JPEG", quality=95, exif=exif)
    given, kept = (np.asarray(image) for image in (opened(sideways).rotate(180), cleaned(sideways, settings)))
    assert peak_signal_noise_ratio(given, kept) > 48


def test_only_the_first_picture_of_a_multi_picture_file_is_kept() -> None:
    given = encoded(noise(40, 30), "MPO", save_all=True, append_images=[Image.new("RGB", (40, 30), "red")])
    kept = decode(inspect(given, SETTINGS), SETTINGS).data
    assert np.array_equal(np.asarray(opened(kept)), np.asarray(opened(given)))
    assert len(kept) < len(given) - 500


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_picture_far_larger_than_any_video_is_reduced(kind: str, turned: bool) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6 if turned else 1
    settings = Settings(url_signing_key="for tests alone", max_output_pixels=1000)
    image = cleaned(encoded(Image.new("RGB", (300, 200), "teal"), kind, exif=exif), settings)
    assert image.size == ((52, 77) if turned else (77, 52))
    assert cleaned(encoded(Image.new("RGB", (80, 50), "teal"), kind), settings).size == (80, 50)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photo_taken_sideways_is_stored_upright_and_without_metadata(kind: str) -> None:
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[ORIENTATION], exif[GPS] = 6, {1: "N"}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    given = encoded(Image.fromarray(pixels), kind, exif=exif, comment=b"secret", icc_profile=profile)
    image = cleaned(given)
    assert image.size == (30, 40)
    assert np.asarray(image)[:15].mean() > 250 > 5 > np.asarray(image)[25:].mean()
    assert not image.getexif()
    assert not {"comment", "icc_profile", "exif", "xmp"} & set(image.info)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGBA", (8, 8), (9, 9, 9, 0)),
        Image.new("LA", (8, 8), (9, 0)),
        Image.new("P", (8, 8), 0),
    ],
    ids=["RGBA", "LA", "P"],
)
def test_transparency_is_stored_as_white(image: Image.Image) -> None:
    options: dict[str, Any] = {"transparency": 0} if image.mode == "P" else {}
    assert np.asarray(cleaned(encoded(image, **options))).min() == 255


@pytest.mark.parametrize("mode", ["L", "CMYK", "1", "P", "I;16"])
def test_pictures_in_other_modes_are_converted_to_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert cleaned(encoded(Image.new(mode, (8, 8)), kind)).mode == "RGB"


@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"PK\x03\x04" + b"\0" * 50])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_only_the_pixels_of_a_polyglot_file_are_kept(kind: str, tail: bytes) -> None:
    given = encoded(noise(40, 30), kind) + tail
    assert tail not in decode(inspect(given, SETTINGS), SETTINGS).data


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
def test_an_unusable_picture_is_rejected_with_the_reason(data: bytes, problem: type[Problem]) -> None:
    with pytest.raises(problem):
        decode(inspect(data, SETTINGS), SETTINGS)


@pytest.mark.parametrize("shade", [0, 255, 256, 128 * 256, 65535])
def test_a_16_bit_grey_keeps_its_shade(shade: int) -> None:
    given = encoded(Image.fromarray(np.full((20, 30), shade, np.uint16)), transparency=77)
    assert np.asarray(cleaned(given)).ravel().tolist() == [shade // 256] * (20 * 30 * 3)
