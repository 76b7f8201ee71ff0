"""One decoding process for all tests of a file, as for all clips of a training."""

from collections.abc import Iterator

import pytest

from cinemo_core.sandbox.decoder import Decoder


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as decoder:
        yield decoder
