"""Inputs that diffusers' users expect work or are rejected clearly; a list is never mixed into one clip."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cinemo_core import CinemoPipeline, DCTInit, InvalidImage, InvalidParameter
from tests.unit.cinemo_core.test_pipeline import animate


@pytest.fixture(scope="module")
def official_pipe(official: Path) -> CinemoPipeline:
    """With the codec that decodes each frame separately."""
    pipe = CinemoPipeline.from_pretrained(official, codec="vae")
    pipe.set_progress_bar_config(disable=True)
    return pipe


SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_frames": 8}


def test_a_path_and_an_array_are_pictures(tiny: CinemoPipeline, coffee: Image.Image, tmp_path: Path) -> None:
    coffee.save(tmp_path / "coffee.png")
    expected = animate(tiny, coffee)
    for given in (tmp_path / "coffee.png", str(tmp_path / "coffee.png"), np.array(coffee.convert("RGB"))):
        assert np.array_equal(animate(tiny, given), expected)


@pytest.mark.parametrize(
    "image",
    [[], [Image.new("RGB", (8, 8))], np.zeros((2, 8, 8, 3), np.uint8), np.zeros((8, 8, 3)), torch.zeros(1, 3, 8, 8), 7],
    ids=["nothing", "list", "batch", "floats", "tensor", "number"],
)
def test_several_images_and_invalid_ones_are_rejected_with_a_clear_message(tiny: CinemoPipeline, image: Any) -> None:
    with pytest.raises(InvalidImage, match="once for each"):
        animate(tiny, image)


def test_a_missing_path_is_reported(tiny: CinemoPipeline, tmp_path: Path) -> None:
    with pytest.raises(InvalidImage, match="nowhere"):
        animate(tiny, tmp_path / "nowhere.png")


def test_without_a_negative_prompt_it_is_empty(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    assert np.array_equal(animate(tiny, coffee, negative_prompt=None), animate(tiny, coffee))


def test_numpy_numbers_are_accepted(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    given = {"seed": np.int64(3), "num_inference_steps": np.int32(2), "guidance_scale": np.float32(2)}
    assert np.array_equal(animate(tiny, coffee, **given), animate(tiny, coffee, seed=3, guidance_scale=2.0))


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": None},
        {"prompt": 7},
        {"prompt": ["pan left", "zoom in"]},
        {"prompt": ["pan left"], "clips": 2},
        {"negative_prompt": ["a", "b"]},
        {"seed": [1, 2]},
        {"seed": np.array([1, 2])},
        {"seed": "1"},
        {"generator": [torch.Generator()]},
        {"motion_intensity": [1, 2]},
        {"guidance_scale": [1.0]},
        {"output_type": "gif"},
        {"latents": torch.zeros(2, 5, 15, 6, 9)},
        {"latents": torch.zeros(1, 5, 15, 12, 18), "clips": 2},
        {"prompt_embeds": torch.zeros(1, 32, 64)},
        {"prompt_embeds": torch.zeros(2, 32, 64), "prompt": None},
        {"prompt_embeds": torch.zeros(1, 40, 64), "prompt": None},
        {"first_frame": "decoded", "detail": "photo"},
        {"first_frame": "last"},
    ],
    ids=lambda change: "-".join(change),
)
def test_batches_and_invalid_values_are_rejected_by_name(
    tiny: CinemoPipeline, coffee: Image.Image, change: dict[str, Any]
) -> None:
    with pytest.raises(InvalidParameter, match=next(name for name in change if name not in ("detail", "clips"))):
        animate(tiny, coffee, **change)


def test_a_list_of_prompts_has_one_for_each_clip(official_pipe: CinemoPipeline, coffee: Image.Image) -> None:
    left, both, same = (
        animate(official_pipe, coffee, prompt=prompt, clips=2, **SMALL)
        for prompt in ("pan left", ["pan left", "the sea"], ["pan left", "pan left"])
    )
    assert np.array_equal(left, same)
    assert np.array_equal(left[:8], both[:8])
    assert not np.array_equal(left[8:], both[8:])


def test_a_list_of_one_prompt_equals_that_prompt(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    assert np.array_equal(animate(tiny, coffee, prompt=["pan left"]), animate(tiny, coffee))


def test_a_callback_may_return_nothing(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    seen: list[int] = []

    def look(_: CinemoPipeline, step: int, timestep: int, state: dict[str, Any]) -> None:
        seen.append(step)

    assert np.array_equal(animate(tiny, coffee, callback_on_step_end=look), animate(tiny, coffee))
    assert seen == [0, 1]


def test_a_generator_or_latents_replace_the_seed(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    expected = animate(tiny, coffee, seed=5)
    assert np.array_equal(animate(tiny, coffee, generator=torch.Generator().manual_seed(5)), expected)
    height, width = tiny.card.height // 16, tiny.card.width // 16
    noise = torch.randn((1, 5, 15, height, width), generator=torch.Generator().manual_seed(5))
    assert np.array_equal(animate(tiny, coffee, latents=noise), expected)


def test_text_embeddings_replace_the_prompt(tiny: CinemoPipeline, coffee: Image.Image) -> None:
    with torch.no_grad():
        text, negative = tiny.encode_text(["pan left", "zoom out"]).chunk(2)
    given = {"prompt": None, "prompt_embeds": text, "negative_prompt_embeds": negative}
    assert np.array_equal(animate(tiny, coffee, **given), animate(tiny, coffee, negative_prompt="zoom out"))


def test_frames_can_be_returned_as_images_or_latents(official_pipe: CinemoPipeline, coffee: Image.Image) -> None:
    frames, images, latents = (
        animate(official_pipe, coffee, **SMALL, output_type=kind) for kind in ("np", "pil", "latent")
    )
    assert all(np.array_equal(frame, np.asarray(image)) for frame, image in zip(frames, images, strict=True))
    assert latents.shape == (1, 4, 8, 8, 8)
    with torch.no_grad():
        assert np.array_equal(official_pipe.decode(latents, 16)[1:], frames[1:])


def test_the_first_frame_can_be_decoded_like_all_others(official_pipe: CinemoPipeline, coffee: Image.Image) -> None:
    photo, decoded = (animate(official_pipe, coffee, **SMALL, first_frame=first) for first in ("photo", "decoded"))
    assert np.array_equal(photo[1:], decoded[1:])
    assert not np.array_equal(photo[0], decoded[0])
    edited = official_pipe.edit(
        photo, coffee, num_inference_steps=1, detail="off", width=64, height=64, first_frame="decoded"
    )
    assert np.array_equal(edited[0], decoded[0])


def test_an_edit_accepts_an_inversion_prompt_a_raw_bucket_and_refined_noise(
    official_pipe: CinemoPipeline, coffee: Image.Image
) -> None:
    source = animate(official_pipe, coffee, **SMALL)
    shared: dict[str, Any] = {"num_inference_steps": 2, "detail": "off", "width": 64, "height": 64}

    def edit(**given: Any) -> Any:
        return official_pipe.edit(source, coffee, **{"prompt": "the sea", "motion_intensity": 5, **shared, **given})

    plain = edit()
    assert np.array_equal(plain, edit(source_prompt="the sea"))
    assert not np.array_equal(plain, edit(source_prompt="wind of the left"))
    assert not np.array_equal(plain, edit(prompt="wind of the left", source_prompt="the sea"))
    assert np.array_equal(plain, edit(motion_intensity=19, motion_bucket_id=95)), "the bucket of intensity 5"
    assert not np.array_equal(plain, edit(noise_refinement=DCTInit()))
    assert np.array_equal(edit(source_prompt=""), edit(source_prompt="")), "an empty one is one, too"
