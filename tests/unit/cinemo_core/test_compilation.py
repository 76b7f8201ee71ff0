"""PyTorch compiles one graph for all timesteps, without breaks, by its own counters."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch._dynamo.utils import counters

from cinemo_core import CinemoPipeline, CinemoUNet
from cinemo_core.merging import Adapter
from cinemo_core.training.adapter import updates_of
from cinemo_spec.card import ModelCard
from tests.adapters import with_random_lora

SMALL: dict[str, Any] = {"detail": "off", "width": 64, "height": 64, "num_frames": 8}


@pytest.fixture(scope="module")
def plain() -> CinemoPipeline:
    """The built-in model with two levels instead of three, which has each kind of block and is traced sooner."""
    pipe = CinemoPipeline.from_pretrained("tiny")
    pipe.set_progress_bar_config(disable=True)
    config = {**pipe.unet.config, "block_out_channels": (64, 96)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe.unet = CinemoUNet.from_config(config).eval()
    return pipe


@pytest.fixture(scope="module")
def compiled(plain: CinemoPipeline) -> Iterator[CinemoPipeline]:
    """Graphs are captured, which is what is counted, and run without a C++ compiler."""
    torch._dynamo.reset()
    counters.clear()
    pipe = copy.copy(plain)
    pipe.unet = copy.deepcopy(plain.unet)
    pipe.unet.compile(fullgraph=True, backend="eager")
    yield pipe
    torch._dynamo.reset()


def test_one_network_is_compiled_for_all_timesteps(
    compiled: CinemoPipeline, plain: CinemoPipeline, coffee: Image.Image
) -> None:
    steps = torch._dynamo.config.recompile_limit + 2
    frames = compiled(coffee, "pan left", num_inference_steps=steps, **SMALL)
    assert counters["stats"]["unique_graphs"] == 1, "more steps than the compiler would make networks for"
    assert not counters["graph_break"]
    compiled(coffee, "zoom in", num_inference_steps=3, seed=9, **SMALL)
    compiled.edit(frames, coffee, num_inference_steps=9, detail="off", width=64, height=64)
    assert counters["stats"]["unique_graphs"] == 2, "an edit has no guidance, thus half the batch"
    expected = plain(coffee, "pan left", num_inference_steps=steps, **SMALL)
    assert np.abs(frames.astype(int) - expected).max() <= 1


def test_adapters_are_swapped_without_recompiling(
    compiled: CinemoPipeline, plain: CinemoPipeline, coffee: Image.Image
) -> None:
    updates = updates_of(with_random_lora(plain.unet))
    adapter = Adapter("any", ModelCard("any"), updates, None)
    base = compiled(coffee, "pan left", num_inference_steps=2, **SMALL)
    graphs = counters["stats"]["unique_graphs"]
    compiled.adapters = plain.adapters = ((adapter, 1.0),)
    adapted = compiled(coffee, "pan left", num_inference_steps=2, **SMALL)
    expected = plain(coffee, "pan left", num_inference_steps=2, **SMALL)
    compiled.adapters = plain.adapters = ()
    again = compiled(coffee, "pan left", num_inference_steps=2, **SMALL)
    assert counters["stats"]["unique_graphs"] == graphs
    assert np.abs(adapted.astype(int) - expected).max() <= 1
    assert not np.array_equal(adapted, base)
    assert np.array_equal(again, base)
