"""What is known of the built-in models without their weights."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cinemo_core.checkpoint import BUILT_IN
from cinemo_spec.card import BUILT_IN_CARDS, SIDECAR, Base, ModelCard


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_models_cards_are_known_without_their_weights(name: str) -> None:
    assert BUILT_IN_CARDS[name] == ModelCard.read(BUILT_IN[name])
    assert set(BUILT_IN_CARDS) == set(BUILT_IN)


def test_only_an_adapters_card_names_a_base(tmp_path: Path) -> None:
    full = ModelCard("full")
    full.write(tmp_path)
    assert "base" not in json.loads((tmp_path / SIDECAR).read_text())
    assert ModelCard.read(tmp_path) == full
    adapter = replace(full, base=Base("tiny", "0123456789ab"))
    adapter.write(tmp_path)
    assert ModelCard.read(tmp_path) == adapter
