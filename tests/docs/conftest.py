"""The stacks beside which pages are tested, each started once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import s3_variables
from tests.datasets import write_folder
from tests.docs.reader import MadeUp, made_up


@pytest.fixture(scope="session")
def belongings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What readers bring along: videos with captions, and a model in the hub's cache."""
    # Not at the top: it brings PyTorch, which whoever only hands tests out does without.
    from tests.official import write_official

    folder = tmp_path_factory.mktemp("belongings")
    write_folder(folder / "videos")
    (folder / "maxin-cn").mkdir()
    write_official(folder / "maxin-cn" / "Cinemo")
    return folder


@pytest.fixture(scope="session")
def over_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeUp]:
    with made_up(tmp_path_factory.mktemp("up") / "stack") as stack:
        yield stack


@pytest.fixture(scope="session")
def over_s3(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeUp]:
    with made_up(tmp_path_factory.mktemp("up") / "stack", s3_variables(s3_endpoint)) as stack:
        yield stack
