"""The built-in student needs a tenth of the network evaluations, by its card alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from cinemo_core import CinemoPipeline
from cinemo_core.checkpoint import BUILT_IN, revision
from cinemo_core.training.motion_fidelity import flow_length
from cinemo_spec.card import BUILT_IN_CARDS, Base
from cinemo_spec.training import TrainConfig

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def turbo() -> CinemoPipeline:
    pipe = CinemoPipeline.from_pretrained("tiny-turbo")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def passes(pipe: CinemoPipeline, photo: Image.Image) -> int:
    """Number of clips that the UNet evaluates to animate a photo; guidance counts twice."""
    seen: list[int] = []

    def count(network: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        seen.append(len(inputs[0]))  # type: ignore[arg-type]

    hook = pipe.unet.register_forward_hook(count)
    try:
        pipe(photo, "pan left", detail="off", width=72, height=48)
    finally:
        hook.remove()
    return sum(seen)


def test_the_student_needs_a_tenth_of_the_network_evaluations(
    tiny: CinemoPipeline, turbo: CinemoPipeline, coffee: Image.Image
) -> None:
    assert (passes(tiny, coffee), passes(turbo, coffee)) == (40, 4)


def test_the_students_motion_matches_its_teachers(turbo: CinemoPipeline, coffee: Image.Image) -> None:
    # Of its own size, unlike the other tests' pipeline.
    tiny = CinemoPipeline.from_pretrained("tiny")
    tiny.set_progress_bar_config(disable=True)
    size: dict[str, Any] = {"width": 192, "height": 128, "frame_rate_factor": 1}
    teacher, student = (pipe.film(coffee, "zoom in", seed=3, **size) for pipe in (tiny, turbo))
    assert teacher.flow is not None
    assert student.flow is not None
    alike = torch.nn.functional.cosine_similarity(student.flow.flatten(), teacher.flow.flatten(), dim=0)
    assert alike > 0.9
    assert flow_length(student.flow) == pytest.approx(flow_length(teacher.flow), rel=0.25)


def test_the_built_in_student_is_an_adapter_made_by_its_recipe() -> None:
    assert BUILT_IN_CARDS["tiny-turbo"].base == Base("tiny", revision(BUILT_IN["tiny"]))
    recipe = TrainConfig.read(BUILT_IN["tiny-turbo"] / "recipe.yaml")
    assert (recipe.method, recipe.base_model, recipe.name) == ("distill", "tiny", "tiny-turbo")
    assert recipe.distillation.steps == BUILT_IN_CARDS["tiny-turbo"].num_inference_steps
    makefile = (ROOT / "Makefile").read_text()
    assert f"cinemo_core.training.sources {recipe.data.source}\n" in makefile
    assert "train cinemo_core/tiny_turbo/recipe.yaml -o var/turbo/tiny-turbo\n" in makefile
