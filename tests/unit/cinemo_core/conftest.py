"""The built-in model and the seeded UNet, loaded once: both are read-only to the tests."""

import pytest
from PIL import Image
from torch import Tensor

from cinemo_core import CinemoPipeline, CinemoUNet
from cinemo_core.training.sources import photo_path
from tests.goldens import goldens, seeded_unet


@pytest.fixture(scope="session")
def tiny() -> CinemoPipeline:
    pipe = CinemoPipeline.from_pretrained("tiny")
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
