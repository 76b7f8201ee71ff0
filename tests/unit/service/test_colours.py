"""A photo is converted to sRGB by its profile, in every file format."""

import io
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from service.contract.problems import ImageAnimated, ImageTooLarge
from service.contract.settings import Settings
from service.media.images import decode, inspect
from tests.colours import ADOBE_RGB, BT2020, P3, Space, cmyk_profile, grey_profile, of_color, profile, written_in
from tests.heif import heic
from tests.pictures import encoded, png_chunk

SETTINGS = Settings(url_signing_key="for tests alone", max_image_pixels=100_000, max_image_side=500)
COLOR = (220, 60, 40)


def kept(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(decode(inspect(data, SETTINGS), SETTINGS).data))


def middle(image: Image.Image) -> tuple[int, ...]:
    pixel = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert isinstance(pixel, tuple)
    return pixel


def assert_like(found: tuple[int, ...], wanted: tuple[int, ...], most: int = 3) -> None:
    assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= most, f"{found}, not {wanted}"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIC"])
@pytest.mark.parametrize("space", [P3, ADOBE_RGB, BT2020], ids=["P3", "Adobe RGB", "BT.2020"])
def test_a_photo_in_another_colour_space_keeps_its_colours(kind: str, space: Space) -> None:
    image = of_color(written_in(COLOR, space))
    options: dict[str, Any] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}, "AVIF": {"quality": 95}}
    reported = profile(space)
    given = (
        heic(image, profile=reported)
        if kind == "HEIC"
        else encoded(image, kind, icc_profile=reported, **options.get(kind, {}))
    )
    result = kept(given)
    assert_like(middle(result), COLOR)
    assert "icc_profile" not in result.info


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_and_a_profile_can_be_combined(kind: str) -> None:
    image = of_color((*written_in(COLOR, P3), 255), "RGBA")
    image.putpixel((0, 0), (0, 0, 0, 0))
    result = kept(encoded(image, kind, icc_profile=profile(P3), **({"lossless": True} if kind == "WEBP" else {})))
    assert_like(middle(result), COLOR)
    assert result.getpixel((0, 0)) == (255, 255, 255)


def test_a_palette_is_converted_by_its_profile() -> None:
    image = of_color(written_in(COLOR, P3)).quantize(4)
    assert_like(middle(kept(encoded(image, icc_profile=profile(P3)))), COLOR)


@pytest.mark.parametrize(("mode", "shade"), [("L", 100), ("LA", (100, 255)), ("I;16", 100 * 257)])
@pytest.mark.parametrize("kind", ["GRAY", "RGB"])
def test_grey_is_converted_by_its_profile(mode: str, shade: Any, kind: str) -> None:
    reported = grey_profile(1.0) if kind == "GRAY" else profile(Space(P3.primaries, 1.0))
    light = 100 / 255
    shown = round(255 * (1.055 * light ** (1 / 2.4) - 0.055))
    assert_like(middle(kept(encoded(of_color(shade, mode), icc_profile=reported))), (shown,) * 3, 4)


def test_cmyk_is_converted_by_its_profile() -> None:
    ink = of_color((0, 255, 255, 0), "CMYK")
    given = encoded(ink, "JPEG", quality=98, icc_profile=cmyk_profile())
    red, green, blue = middle(kept(given))
    source = ImageCms.ImageCmsProfile(io.BytesIO(cmyk_profile()))
    assert_like((red, green, blue), middle(through(ink, source)))
    assert (red, green, blue) != middle(ink)


def through(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    made = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert made is not None
    return made


def test_only_a_jpeg_in_srgb_keeps_its_exact_pixels() -> None:
    plain = encoded(of_color(COLOR), "JPEG", quality=95)
    for same in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"", b"broken" * 50):
        given = encoded(of_color(COLOR), "JPEG", quality=95, icc_profile=same)
        assert decode(inspect(given, SETTINGS), SETTINGS).data == decode(inspect(plain, SETTINGS), SETTINGS).data
    other = encoded(of_color(COLOR), "JPEG", quality=95, icc_profile=profile(P3))
    assert decode(inspect(other, SETTINGS), SETTINGS).data != decode(inspect(plain, SETTINGS), SETTINGS).data


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_an_unusable_or_missing_profile_changes_nothing(mode: str) -> None:
    image = Image.new(mode, (40, 30), 90)
    plain = np.asarray(kept(encoded(image, "JPEG")))
    other = {"RGB": (grey_profile(1.0), cmyk_profile()), "L": (cmyk_profile(),), "CMYK": (profile(P3), grey_profile(1))}
    whole = profile(P3)
    for reported in (*other[mode], whole[:200], whole[:131], whole[:40], b"\0" * 4000, whole[:128] + b"\xff" * 500):
        assert np.array_equal(np.asarray(kept(encoded(image, "JPEG", icc_profile=reported))), plain)


def test_a_profile_in_many_segments_is_joined() -> None:
    long = profile(P3) + bytes(150_000)
    given = encoded(of_color(written_in(COLOR, P3)), "JPEG", quality=95, icc_profile=long)
    assert given.count(b"ICC_PROFILE\0") == 3
    assert_like(middle(kept(given)), COLOR)


def test_a_profile_that_is_a_decompression_bomb_is_ignored() -> None:
    plain = encoded(of_color(COLOR))
    bomb = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(64 * 1024 * 1024), 9))
    assert middle(kept(plain[:33] + bomb + plain[33:])) == COLOR


def test_a_photo_is_rotated_and_converted_to_srgb_at_once() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    given = encoded(of_color(written_in(COLOR, P3)), "JPEG", quality=95, icc_profile=profile(P3), exif=exif)
    result = kept(given)
    assert result.size == (30, 40)
    assert_like(middle(result), COLOR)


def test_coding_independent_code_points_define_colours_like_a_profile() -> None:
    shown = written_in(COLOR, P3)
    plain = encoded(of_color(shown))
    reported = plain[:33] + png_chunk(b"cICP", bytes((12, 13, 0, 1))) + plain[33:]
    assert_like(middle(kept(reported)), COLOR)
    assert_like(middle(kept(heic(of_color(shown), nclx=(12, 13)))), COLOR)
    assert_like(middle(kept(plain[:33] + png_chunk(b"cICP", bytes((1, 13, 0, 1))) + plain[33:])), shown, 0)


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_pictures_from_phones_are_stored_as_jpeg(kind: str) -> None:
    image = of_color(COLOR)
    clean = decode(inspect(heic(image) if kind == "HEIC" else encoded(image, "AVIF", quality=95), SETTINGS), SETTINGS)
    assert (clean.content_type, clean.size) == ("image/jpeg", (40, 30))
    assert_like(middle(Image.open(io.BytesIO(clean.data))), COLOR)


def test_a_rotated_heic_or_avif_is_turned_upright() -> None:
    image = of_color((0, 0, 0))
    image.paste((255, 255, 255), (20, 0, 40, 30))
    for data in (heic(image, quarter_turns=1), encoded(image, "AVIF", exif=exif_of(8))):
        result = np.asarray(kept(data).convert("L"))
        assert result.shape == (40, 30)
        assert result[:15].mean() > 250 > 5 > result[25:].mean()


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_a_transparent_avif_gets_a_white_background() -> None:
    assert_like(middle(kept(encoded(of_color((9, 9, 9, 0), "RGBA"), "AVIF"))), (255, 255, 255))


def test_a_heic_or_avif_is_rejected_if_its_decoded_size_is_too_large() -> None:
    large = of_color(COLOR, size=(480, 300))
    avif = encoded(large, "AVIF")
    place = avif.find(b"ispe") + 8
    lying = avif[:place] + (40).to_bytes(4) + (30).to_bytes(4) + avif[place + 8 :]
    for data in (heic(large), avif, lying):
        with pytest.raises(ImageTooLarge):
            decode(inspect(data, SETTINGS), SETTINGS)


def test_an_animated_avif_is_rejected() -> None:
    frames = [of_color(COLOR), of_color((0, 0, 0))]
    with pytest.raises(ImageAnimated):
        decode(inspect(encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:]), SETTINGS), SETTINGS)
