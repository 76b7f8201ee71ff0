"""Videos, and a reference run on them."""

from pathlib import Path

import pytest

from tests.datasets import training, write_folder
from tests.unit.cinemo_core.training.runs import losses, on_cpu


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="session")
def plain_losses(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The losses of a run with default options, as a reference."""
    return losses(on_cpu(training(videos), tmp_path_factory.mktemp("plain")))
