"""Videos of any size with the photo's detail, whose frames are generated on demand."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cinemo_core import CinemoPipeline, Film, InvalidParameter, OutOfMemory
from cinemo_core.media import Frames
from tests.films import film as filmed


def animate(pipe: CinemoPipeline, photo: Image.Image, **arguments: Any) -> Film:
    return pipe.film(photo, "pan left", **{"num_inference_steps": 1, "num_frames": 8, **arguments})


def sharpness(frame: Frames) -> float:
    """Mean difference between neighbouring pixels."""
    return float(np.abs(np.diff(frame.astype(float), axis=1)).mean())


def stand_still(_: Any, step: int, timestep: int, state: dict[str, Any]) -> dict[str, Any]:
    return {"latents": state["latents"] * 0}


def test_the_first_frame_is_the_photo_at_the_videos_size(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    film = animate(tiny, coffee)
    assert (film.size, film.model_size, len(film)) == ((600, 400), (144, 96), 22)
    assert np.array_equal(next(iter(film)), np.asarray(coffee.convert("RGB")))


def test_a_portrait_photo_gives_a_portrait_video(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    film = animate(tiny, coffee.crop((200, 0, 400, 400)), height=200, frame_rate_factor=1)
    assert (film.size, film.model_size) == ((100, 200), (80, 160))
    assert film.frames().shape == (8, 200, 100, 3)


def test_all_frames_at_once_equal_those_generated_one_by_one(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    arguments: dict[str, Any] = {"num_inference_steps": 1, "num_frames": 8, "width": 96, "frame_rate_factor": 2}
    film = animate(tiny, coffee, **arguments)
    assert np.array_equal(tiny(coffee, "pan left", **arguments), film.frames())
    assert len(list(film)) == len(film) == 15, "a film can be gone through again"


def test_a_still_clip_keeps_the_photos_detail(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    film = animate(tiny, coffee, callback_on_step_end=stand_still, frame_rate_factor=1)
    enlarged = np.asarray(Image.fromarray(film.made[-1]).resize(film.size, Image.Resampling.BICUBIC))
    photo, *_, last = film
    assert np.array_equal(photo, np.asarray(coffee.convert("RGB")))
    assert sharpness(last) > 1.2 * sharpness(enlarged)


def test_without_detail_the_model_works_at_the_requested_size(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    film = animate(tiny, coffee, detail="off", width=64, height=48)
    assert film.size == film.model_size == (64, 48)
    assert film.photo is not None, "the built-in model has all its detail from one"
    assert film.frames().shape == (len(film), *film.photo.shape) == (8, 48, 64, 3)


def test_a_chain_of_clips_is_one_film(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    film = animate(tiny, coffee, clips=2, width=96, frame_rate_factor=2)
    assert len(film) == len(film.frames()) == 1 + 2 * 2 * 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"detail": "more"}, "detail must be photo or off, got more"),
        ({"frame_rate_factor": 4}, "frame_rate_factor must be from 1 to 3"),
        ({"frame_rate_factor": 2, "detail": "off"}, "frame_rate_factor must be 1 with detail off"),
        ({"width": 101}, "width must be .* a multiple of 2, got 101"),
        ({"width": 100, "detail": "off"}, "width must be .* a multiple of 8, got 100"),
        ({"height": 2000}, "width must be from 16 to 2048, .* got 3000"),
        ({"width": 0}, "width"),
    ],
    ids=str,
)
def test_impossible_videos_are_rejected(
    tiny: CinemoPipeline, coffee: Image.Image, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidParameter, match=message):
        animate(tiny, coffee, **arguments)


def test_an_edited_video_has_the_detail_and_the_shape_of_its_new_first_frame(
    tiny: CinemoPipeline, coffee: Image.Image
) -> None:
    source, portrait = filmed(coffee, 0, 2, 8), coffee.crop((200, 0, 500, 400))
    arguments: dict[str, Any] = {"num_inference_steps": 2, "frame_rate_factor": 1}
    film = tiny.edit_film(source, portrait, **arguments)
    assert (film.size, len(film)) == ((300, 400), 8)
    assert np.array_equal(next(iter(film)), np.asarray(portrait.convert("RGB")))
    assert np.array_equal(tiny.edit(source, portrait, **arguments), film.frames())


def test_running_out_of_memory_while_frames_are_generated_is_reported(
    tiny: CinemoPipeline, coffee: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = animate(tiny, coffee, width=96)

    def full(photo: Frames, *_: Any, **__: Any) -> Iterator[Frames]:
        yield photo
        raise torch.OutOfMemoryError

    monkeypatch.setattr("cinemo_core.film.transfer", full)
    with pytest.raises(OutOfMemory):
        film.frames()
