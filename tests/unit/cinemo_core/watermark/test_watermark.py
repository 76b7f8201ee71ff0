"""The watermark: invisible, found after common transformations, and never found in unmarked videos."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cinemo_core.encoding import write_poster, write_video
from cinemo_core.media import Frames
from cinemo_core.watermark.detect import MIN_SCORE, find_watermark, read_watermark
from cinemo_core.watermark.embed import watermarked
from cinemo_core.watermark.message import BITS, CHECK_BITS, checksum, decode
from cinemo_spec.errors import InvalidVideo
from tests.watermark.attacks import ATTACKS
from tests.watermark.clips import moving_photo, psnr, rendered_clip

SERVICE = 0x5EED1234
WIDTH, HEIGHT = 1280, 720


@pytest.fixture(scope="module")
def clip() -> list[Frames]:
    return moving_photo("coffee.png", 3, WIDTH, HEIGHT, 6)


@pytest.fixture(scope="module")
def marked(clip: list[Frames]) -> list[Frames]:
    return list(watermarked(clip, SERVICE))


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (256, 160)])
def test_the_watermark_is_invisible(size: tuple[int, int]) -> None:
    for name in ("coffee.png", "grass.png", "moon.png"):
        frames = moving_photo(name, 1, *size, 2)
        for frame, changed in zip(frames, watermarked(frames, SERVICE), strict=True):
            assert psnr(frame, changed) >= 42


def test_plain_areas_are_changed_far_less_than_texture() -> None:
    plain = np.full((360, 640, 3), 120, np.uint8)
    texture = np.random.default_rng(0).integers(60, 180, (360, 640, 3), np.uint8)
    (marked_plain,), (marked_texture,) = (list(watermarked([each], SERVICE)) for each in (plain, texture))
    assert psnr(plain, marked_plain) > psnr(texture, marked_texture) + 5


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_services_id_is_read_from_a_video_after(attack: str, marked: list[Frames], tmp_path: Path) -> None:
    found = find_watermark(ATTACKS[attack](marked, tmp_path))
    assert found is not None
    assert found.service_id == SERVICE


def test_a_video_that_was_never_marked_has_no_mark(clip: list[Frames]) -> None:
    assert find_watermark(clip) is None


def test_no_unmarked_clip_is_mistaken_for_a_marked_one() -> None:
    found = [find_watermark(rendered_clip(number, 320, 192, 2)) for number in range(12)]
    assert found == [None] * 12


@pytest.mark.parametrize("service_id", [0, 1, 2**32 - 1])
def test_any_id_can_be_read_from_a_file(service_id: int, clip: list[Frames], tmp_path: Path) -> None:
    frames = list(watermarked(clip[:2], service_id))
    write_video(tmp_path / "video.mp4", frames)
    write_poster(tmp_path / "poster.jpg", frames[1])
    for name in ("video.mp4", "poster.jpg"):
        found = read_watermark(tmp_path / name)
        assert found is not None
        assert found.service_id == service_id
        assert found.score > MIN_SCORE


def test_a_picture_without_a_mark_has_none(tmp_path: Path) -> None:
    Image.new("RGB", (640, 360), "teal").save(tmp_path / "plain.png")
    assert read_watermark(tmp_path / "plain.png") is None


def test_a_video_without_frames_is_rejected() -> None:
    with pytest.raises(InvalidVideo):
        find_watermark([])


def test_errors_in_a_messages_least_certain_bits_are_corrected() -> None:
    word = SERVICE << CHECK_BITS | checksum(SERVICE)
    heard = np.array([1.0 if word >> place & 1 else -1.0 for place in reversed(range(BITS))])
    heard[[3, 17, 40]] *= -0.1
    assert decode(heard) == SERVICE
    heard[[3, 17, 40]] *= 20
    assert decode(heard) != SERVICE
