"""A new, untrained model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from cinemo_core import CinemoPipeline
from cinemo_core.training.initial import InitialConfig, make_initial
from cinemo_core.unet import CinemoUNet
from tests.datasets import training, write_folder


def initial(source: Path | str, **unet: Any) -> InitialConfig:
    """The smallest model, for a dataset."""
    smallest = {"block_out_channels": [32, 32], "layers_per_block": 1, "attention_head_dim": 1, "norm_num_groups": 8}
    fields = {
        "name": "smallest",
        "unet": {**smallest, **unet},
        "text": {"width": 16, "layers": 1, "heads": 1, "tokens": 8},
        "latent_channels": 4,
        "fitted_clips": 2,
        "num_inference_steps": 1,
        "data": training(source).data.model_dump(),
    }
    return InitialConfig.model_validate(fields)


def test_a_new_model_loads_and_predicts_zero(tmp_path: Path) -> None:
    make_initial(initial(write_folder(tmp_path / "videos")), tmp_path / "model")
    unet = CinemoUNet.from_pretrained(tmp_path / "model" / "unet")
    clip = torch.randn(1, 4, 3, 4, 6)
    predicted = unet(clip, torch.tensor([500]), torch.randn(1, 8, 16), clip[:, :, :1], torch.tensor([3.0]))
    assert predicted.shape == clip.shape
    assert not predicted.any()
    pipe = CinemoPipeline.from_pretrained(tmp_path / "model")
    assert pipe(Image.new("RGB", (48, 32), "teal"), "pan left", detail="off").shape == (16, 32, 48, 3)


@pytest.mark.parametrize("unet", [{"attention_head_dim": 2}, {"block_out_channels": [32, 48], "attention_head_dim": 5}])
def test_heads_too_narrow_to_rotate_are_refused(unet: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="heads of an even 32 or more"):
        initial("datasets/waves", **unet)
