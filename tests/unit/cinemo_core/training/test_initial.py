"""A new, untrained model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from transformers import CLIPTokenizer

from cinemo_core import CinemoPipeline
from cinemo_core.motion_codec import MotionCodec
from cinemo_core.training.initial import InitialConfig, make_initial
from cinemo_core.training.publish import publish
from cinemo_core.unet import CinemoUNet
from tests.datasets import training, write_folder, write_photos
from tests.unit.cinemo_core.training.runs import losses, on_cpu


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


def motion_model(photos: Path) -> InitialConfig:
    """The smallest motion model, for a folder of photos."""
    fields = initial(photos).model_dump()
    return InitialConfig.model_validate(
        {**fields, "codec": "motion", "cell": 8, "data": {**fields["data"], "kind": "stills"}}
    )


def test_a_motion_model_is_created_trained_on_photos_and_animates(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    make_initial(motion_model(photos), tmp_path / "untrained")
    assert (
        CLIPTokenizer.from_pretrained(tmp_path / "untrained" / "tokenizer").tokenize("pan left while zooming in")[0]
        == "pan</w>"
    ), "a word of its own"
    data = {"kind": "stills", "more_sizes": [{"width": 32, "height": 48}]}
    config = training(
        photos,
        base_model=str(tmp_path / "untrained"),
        steps=2,
        data=data,
        objective={"flow_smoothness": 0.5},
        samples={"every_steps": 2, "clips": 1, "num_inference_steps": 1},
    )
    run = on_cpu(config, tmp_path / "run")
    assert len(losses(run)) == 2
    assert sorted(path.name for path in (tmp_path / "run" / "samples" / "step-00000002").iterdir()) == [
        "0.jpg",
        "0.mp4",
    ]
    publish(run, tmp_path / "model")
    pipe = CinemoPipeline.from_pretrained(tmp_path / "model")
    assert isinstance(pipe.vae, MotionCodec)
    assert pipe.vae.config.cell == 8
    photo = Image.open(photos / "chelsea.png")
    film = pipe.film(photo, "pan left", num_frames=8, frame_rate_factor=1)
    assert film.frames().shape == (8, 90, 120, 3)


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
def test_heads_too_narrow_for_rotary_embeddings_are_rejected(unet: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="channels, 32 or more"):
        initial("datasets/waves", **unet)
