"""The library's pictures are converted to sRGB by their profiles, for animation and training alike."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cinemo_core.media import flat_image
from cinemo_core.pictures import open_picture
from cinemo_core.training.stills import read_photo
from cinemo_spec.errors import InvalidImage, InvalidVideo
from tests.colours import ADOBE_RGB, P3, Space, grey_profile, of_color, profile, written_in
from tests.heif import heic
from tests.pictures import encoded

COLOR = (220, 60, 40)
ORIENTATION = 0x0112


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("space", [P3, ADOBE_RGB], ids=["P3", "Adobe RGB"])
def test_a_picture_in_another_colour_space_keeps_its_colours(kind: str, space: Space) -> None:
    options: dict[str, Any] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95}, "AVIF": {"quality": 95}}
    data = encoded(of_color(written_in(COLOR, space)), kind, icc_profile=profile(space), **options.get(kind, {}))
    picture = Image.open(io.BytesIO(data)) if kind == "TIFF" else open_picture(data)
    assert np.abs(np.asarray(flat_image(picture))[15, 20].astype(int) - COLOR).max() <= 3


def test_a_reduced_picture_in_another_colour_space_keeps_its_colours() -> None:
    picture = open_picture(encoded(of_color(written_in(COLOR, P3)), icc_profile=profile(P3))).resize((20, 10))
    assert np.abs(np.asarray(flat_image(picture))[5, 5].astype(int) - COLOR).max() <= 3


@pytest.mark.parametrize("reported", [b"broken" * 40, grey_profile(1.0)])
def test_a_profile_without_effect_changes_nothing(reported: bytes) -> None:
    picture = open_picture(encoded(of_color(COLOR), icc_profile=reported))
    assert np.array_equal(np.asarray(flat_image(picture))[0, 0], COLOR)


def test_training_photos_are_upright_and_srgb() -> None:
    photo = of_color(written_in(COLOR, P3))
    photo.paste((0, 0, 0), (0, 0, 20, 30))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    for kind, options in (("JPEG", {"quality": 95}), ("PNG", {})):
        read = read_photo(encoded(photo, kind, icc_profile=profile(P3), exif=exif, **options))
        assert read.shape == (40, 30, 3)
        assert read[:15].max() < 10
        assert np.abs(read[30, 15].astype(int) - COLOR).max() <= 3


def test_heic_and_avif_photos_can_be_trained_on() -> None:
    for data in (heic(of_color(COLOR)), encoded(of_color(COLOR), "AVIF", quality=95)):
        assert np.abs(read_photo(data)[15, 20].astype(int) - COLOR).max() <= 3


def test_a_photo_with_too_many_pixels_is_rejected_with_a_clear_message() -> None:
    with pytest.raises(InvalidImage, match="allowed"):
        open_picture(heic(of_color(COLOR)), max_pixels=1000)
    with pytest.raises(InvalidVideo, match="not a readable photo"):
        read_photo(b"none")
