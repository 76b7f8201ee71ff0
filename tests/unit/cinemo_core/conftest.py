"""The built-in model, the seeded UNet and a checkpoint in the published layout: created once, read-only."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor

from cinemo_core import CinemoPipeline, CinemoUNet
from cinemo_core.training.sources import photo_path
from tests.goldens import goldens, seeded_unet
from tests.official import write_official


@pytest.fixture(scope="session")
def tiny() -> CinemoPipeline:
    """At a size that needs half the work."""
    pipe = CinemoPipeline.from_pretrained("tiny")
    pipe.card = replace(pipe.card, width=144, height=96)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="session")
def unet() -> CinemoUNet:
    return seeded_unet()


@pytest.fixture(scope="session")
def golden() -> dict[str, Tensor]:
    return goldens()


@pytest.fixture
def coffee() -> Image.Image:
    return Image.open(photo_path("coffee.png"))


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_official(tmp_path_factory.mktemp("checkpoints") / "official")


@pytest.fixture
def official_copy(official: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(official, tmp_path / "official"))
