"""The pipeline with the built-in model: frames, seeds, callback and rejections."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from cinemo_core import CinemoPipeline, InvalidParameter
from cinemo_core.media import prepare_image


def animate(pipe: CinemoPipeline, image: Any, **arguments: Any) -> Any:
    settings: dict[str, Any] = {"prompt": "pan left", "num_inference_steps": 2, "detail": "off", **arguments}
    return pipe(image, **settings)


def test_a_clip_has_sixteen_frames_and_the_first_is_the_photo(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    frames = animate(tiny, coffee)
    still = np.asarray(prepare_image(coffee, tiny.card.width, tiny.card.height))
    assert frames.shape == (16, tiny.card.height, tiny.card.width, 3)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames[0], still)


def test_equal_seeds_give_equal_frames_and_others_do_not(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    first, second, other = (animate(tiny, coffee, seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "zoom in"},
        {"negative_prompt": "zoom out"},
        {"motion_intensity": 19},
        {"guidance_scale": 5.0},
        {"noise_refinement": None},
        {"num_inference_steps": 3},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_parameter_has_an_effect(tiny: CinemoPipeline, coffee: Image.Image, change: dict[str, Any]) -> None:
    assert not np.array_equal(animate(tiny, coffee), animate(tiny, coffee, **change))


def test_rescaled_guidance_exaggerates_motion_less_and_zero_changes_nothing(
    tiny: CinemoPipeline, coffee: Image.Image
) -> None:
    def contrast(**arguments: Any) -> float:
        latents = tiny(coffee, "pan left", num_inference_steps=6, output_type="latent", **arguments)
        return float((latents[:, :, 1:] - latents[:, :, :1]).std())

    unguided, strong, rescaled = (
        contrast(guidance_scale=scale, guidance_rescale=rescale) for scale, rescale in ((1, 0), (10, 0), (10, 0.7))
    )
    assert unguided < rescaled < 0.9 * strong
    assert contrast(guidance_scale=1, guidance_rescale=0.7) == unguided


def test_a_raw_bucket_overrides_the_intensity(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    by_intensity = animate(tiny, coffee, motion_intensity=15)
    by_bucket = animate(tiny, coffee, motion_intensity=2, motion_bucket_id=15)
    assert np.array_equal(by_intensity, by_bucket)


def test_the_callback_sees_every_step_and_may_change_the_latents(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    steps: list[int] = []

    def stand_still(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> dict[str, Any]:
        steps.append(step)
        return {"latents": state["latents"] * 0}

    frames = animate(tiny, coffee, num_inference_steps=3, callback_on_step_end=stand_still)
    assert steps == [0, 1, 2]
    assert all(np.array_equal(frames[1], frame) for frame in frames[2:])


def test_an_error_in_the_callback_stops_the_run(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    class Stop(Exception):
        pass

    def stop(*_: Any) -> dict[str, Any]:
        raise Stop

    with pytest.raises(Stop):
        animate(tiny, coffee, callback_on_step_end=stop)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("motion_intensity", -1),
        ("motion_intensity", 20),
        ("seed", -1),
        ("seed", 2**32),
        ("num_inference_steps", 0),
        ("num_inference_steps", 501),
        ("num_inference_steps", 2.0),
        ("num_frames", 16.0),
        ("motion_bucket_id", -1),
        ("motion_bucket_id", float("nan")),
        ("guidance_scale", 0.5),
        ("guidance_scale", float("nan")),
        ("guidance_scale", float("inf")),
    ],
)
def test_a_number_out_of_range_is_rejected_by_name(
    tiny: CinemoPipeline, coffee: Image.Image, name: str, value: float
) -> None:
    with pytest.raises(InvalidParameter, match=name):
        animate(tiny, coffee, **{name: value})
