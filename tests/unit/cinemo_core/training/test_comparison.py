"""A student is compared with its teacher before it is published."""

import json
from pathlib import Path

import pytest
import torch

from cinemo_core import CinemoPipeline
from cinemo_core.training.comparison import checked_prompts, compare
from cinemo_core.training.errors import StudentFallsShort, TrainingInterrupted
from cinemo_core.training.files import FsspecFiles
from cinemo_core.training.motions import MOTIONS
from cinemo_core.training.observer import Observer
from cinemo_core.training.publish import publish
from cinemo_core.training.run import Run
from cinemo_core.training.stills import MovingStills, list_stills
from cinemo_spec.card import ModelCard
from cinemo_spec.distillation import Comparison, shortfalls
from tests.datasets import quicker_tiny, training, write_photos
from tests.unit.cinemo_core.training.runs import StopAfter, on_cpu


class Kept(Observer):
    def __init__(self) -> None:
        self.comparisons: list[Comparison] = []

    def on_comparison(self, comparison: Comparison) -> None:
        self.comparisons.append(comparison)


@pytest.fixture(scope="module")
def empty(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A student that predicts nothing, so that its clips are their initial noise."""
    teacher = quicker_tiny(tmp_path_factory.mktemp("teacher"))
    distillation = {"steps": 4, "solver_steps": 8, "checked_prompts": 1}
    method = {"method": "distill", "distillation": distillation}
    config = training(videos, base_model=str(teacher), **method, steps=1, name="noise")
    run = on_cpu(config, tmp_path_factory.mktemp("empty"), Kept())
    with torch.no_grad():
        for shadow in run.model.average.shadow_params:
            shadow.zero_()
    return run


def test_a_student_that_lost_its_motion_is_rejected_with_its_figures(empty: Run) -> None:
    with pytest.raises(StudentFallsShort, match=r"intensity_correlation 0\.000, the teacher's is ") as refused:
        compare(empty)
    (told,) = empty.observer.comparisons  # type: ignore[attr-defined]
    assert (told.passes, told.teacher_passes) == (4, 16)
    assert len(told.shortfalls) > 1
    assert all(each in str(refused.value) for each in told.shortfalls)
    assert shortfalls(told.teacher, told.teacher) == ()


def test_a_comparison_can_be_stopped(empty: Run) -> None:
    listener, empty.observer = empty.observer, StopAfter(1)
    with pytest.raises(TrainingInterrupted, match="while the student was compared"):
        compare(empty)
    empty.observer = listener


def test_a_student_published_by_force_states_its_shortfalls(empty: Run, tmp_path: Path) -> None:
    distillation = empty.config.distillation.model_copy(update={"force": True})
    empty.config = empty.config.model_copy(update={"distillation": distillation})
    comparison = compare(empty)
    revision = publish(empty, tmp_path, comparison)
    page, origin = (tmp_path / "README.md").read_text(), json.loads((tmp_path / "training.json").read_text())
    assert "| network evaluations per clip | 16 | 4 |" in page
    assert f"It loses {'; '.join(comparison.shortfalls)}." in page
    assert Comparison.model_validate(origin["comparison"]) == comparison
    loaded = CinemoPipeline.from_pretrained(tmp_path)
    assert (loaded.revision, loaded.card.num_inference_steps, loaded.card.guidance_scale) == (revision, 4, 1.0)
    assert loaded.scheduler.config.timestep_spacing == "trailing"
    assert loaded.card.motion_scale == CinemoPipeline.from_pretrained("tiny").card.motion_scale, "its teacher's"


def test_students_are_compared_on_captions_of_videos_or_known_motions_of_photos(empty: Run, tmp_path: Path) -> None:
    captions = list(dict.fromkeys(video.caption for video in empty.clips.listing.videos))
    assert checked_prompts(empty.clips, 3) == {caption: caption for caption in captions[:3]}
    files, data = FsspecFiles(str(write_photos(tmp_path))), training(tmp_path, data={"kind": "stills"}).data
    photos = MovingStills(files, list_stills(files), data, seed=0)
    assert checked_prompts(photos, 2) == {"pan left": "pan left", "pan right": "pan right"}
    assert len(checked_prompts(photos, 100)) == len(MOTIONS)


def test_a_student_of_the_published_layout_is_compared_on_pixels(
    videos: Path, official_copy: Path, tmp_path: Path
) -> None:
    ModelCard("published", num_inference_steps=6).write(official_copy)
    distillation = {"steps": 2, "solver_steps": 4, "checked_prompts": 1, "force": True}
    config = training(videos, base_model=str(official_copy), method="distill", distillation=distillation, steps=1)
    run = on_cpu(config, tmp_path / "run")
    assert run.model.scheduler.config.prediction_type == "epsilon"
    found = compare(run)
    assert (found.passes, found.teacher_passes) == (2, 12)
    for figures in (found.teacher, found.student):
        assert (figures.recognized_share, figures.late_ssim) == (None, None)
        assert figures.flow > 0
        assert figures.sharpness > 0
        assert 0 < figures.consistency < 1
