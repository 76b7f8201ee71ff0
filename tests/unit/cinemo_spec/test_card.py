"""What is said of the built-in models where their weights are not at hand."""

import pytest

from cinemo_core.checkpoint import BUILT_IN
from cinemo_spec.card import BUILT_IN_CARDS, ModelCard


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_card_of_a_built_in_model_is_known_without_its_weights(name: str) -> None:
    assert BUILT_IN_CARDS[name] == ModelCard.read(BUILT_IN[name])
    assert set(BUILT_IN_CARDS) == set(BUILT_IN)
