"""The UNet equals the published one: names, shapes, numbers."""

import pytest
import torch
from torch import Tensor

from cinemo_core import CinemoUNet
from tests.goldens import TINY, manifest, relative_error, seeded_inputs


def shapes(unet: CinemoUNet) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in unet.state_dict().items()}


def test_the_default_configuration_has_the_834_names_and_shapes_of_the_released_checkpoint() -> None:
    with torch.device("meta"):
        unet = CinemoUNet()
    official = manifest("official")
    assert len(official) == 834
    assert shapes(unet) == official


def test_the_small_configuration_has_the_534_names_and_shapes_of_its_manifest(unet: CinemoUNet) -> None:
    assert shapes(unet) == manifest("tiny")


@pytest.mark.parametrize(
    ("key", "seed", "batch", "frames", "size", "timestep", "buckets"),
    [("unet_a", 11, 2, 15, (8, 16), 501, [8, 95]), ("unet_b", 12, 1, 7, (16, 8), 21, [19])],
)
def test_a_forward_pass_agrees_with_the_published_code(
    unet: CinemoUNet,
    golden: dict[str, Tensor],
    key: str,
    seed: int,
    batch: int,
    frames: int,
    size: tuple[int, int],
    timestep: int,
    buckets: list[int],
) -> None:
    sample, base, text = seeded_inputs(seed, batch, frames, *size)
    with torch.no_grad():
        predicted = unet(sample, timestep, text, base, torch.tensor(buckets))
    assert relative_error(predicted, golden[key]) < 1e-5


def test_sizes_that_are_not_divisible_by_the_levels_are_preserved(unet: CinemoUNet) -> None:
    sample, base, text = seeded_inputs(1, 1, 3, 9, 11)
    with torch.no_grad():
        assert unet(sample, 10, text, base, torch.tensor([3])).shape == sample.shape


def test_a_batch_can_have_several_timesteps(unet: CinemoUNet) -> None:
    sample, base, text = seeded_inputs(2, 2, 3, 8, 8)
    with torch.no_grad():
        together = unet(sample, torch.tensor([10, 900]), text, base, torch.tensor([3, 4]))
        alone = unet(sample[1:], 900, text[1:], base[1:], torch.tensor([4]))
    assert relative_error(together[1:], alone) < 1e-5


def test_saving_and_loading_preserves_every_weight(unet: CinemoUNet, tmp_path: object) -> None:
    unet.save_pretrained(str(tmp_path))
    loaded = CinemoUNet.from_pretrained(str(tmp_path))
    assert tuple(loaded.config.block_out_channels) == TINY["block_out_channels"]
    weights = loaded.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in unet.state_dict().items())
