"""The size of a video, the size at which the model works, and the frame rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinemo_spec.formats import Detail, Size, default_factor, model_size, video_size

SIDES = st.integers(1, 8192)


@pytest.mark.parametrize(
    ("photo", "video"),
    [
        ((4000, 3000), (960, 720)),
        ((3000, 4000), (720, 960)),
        ((1920, 1080), (1280, 720)),
        ((1080, 1920), (720, 1280)),
        ((2000, 2000), (720, 720)),
        ((600, 400), (600, 400)),
        ((601, 401), (600, 400)),
        ((9000, 1000), (1280, 320)),
    ],
    ids=str,
)
def test_a_video_has_its_photos_shape_within_1280x720_without_enlarging_it(photo: Size, video: Size) -> None:
    assert video_size(photo) == video


def test_an_omitted_side_follows_the_photos_shape() -> None:
    assert video_size((4000, 3000), width=1600) == (1600, 1200)
    assert video_size((3000, 4000), height=1600) == (1200, 1600)
    assert video_size((4000, 3000), 1000, 1000) == (1000, 1000)


def test_a_small_photo_gives_a_video_with_the_models_number_of_pixels() -> None:
    assert video_size((90, 60), min_pixels=192 * 128) == (192, 128)


def test_a_video_of_unspecified_size_stays_within_the_limit() -> None:
    assert video_size((4000, 3000), max_pixels=40_000) == (230, 172)


@given(SIDES, SIDES, st.sampled_from((192 * 128, 512 * 320)))
def test_the_model_works_in_the_videos_shape_at_about_its_own_number_of_pixels(wide: int, tall: int, own: int) -> None:
    video = video_size((wide, tall), min_pixels=own)
    assert all(side % 2 == 0 and 16 <= side <= 2048 for side in video)
    model = model_size(video, own)
    assert all(side % 8 == 0 for side in model)
    assert 0.85 < model[0] * model[1] / own < 1.15
    assert 0.92 < (model[0] / model[1]) / (video[0] / video[1]) < 1.09


def test_a_photo_of_the_models_aspect_ratio_is_animated_at_the_models_size() -> None:
    assert model_size((1200, 800), 192 * 128) == (192, 128)
    assert model_size((1024, 640), 512 * 320) == (512, 320)


@pytest.mark.parametrize(
    ("detail", "fps", "factor"), [("photo", 8, 3), ("photo", 20, 3), ("photo", 30, 2), ("photo", 60, 1), ("off", 8, 1)]
)
def test_a_video_has_three_times_the_models_frames_up_to_60_per_second(detail: Detail, fps: float, factor: int) -> None:
    assert default_factor(detail, fps) == factor
