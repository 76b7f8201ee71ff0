"""The baselines of the benchmarks compute the same numbers, without which ratios would be meaningless."""

import pytest
import torch

from cinemo_core import CinemoPipeline, CinemoUNet
from tests.bench import machine
from tests.bench.network import HALF, OURS, Size, clip_rows
from tests.bench.published import PublishedUNet
from tests.bench.reference import ReferenceUNet
from tests.goldens import goldens, relative_error, seeded_inputs, seeded_unet


@pytest.fixture(scope="module")
def unet() -> CinemoUNet:
    return seeded_unet()


@pytest.mark.parametrize("rival", [ReferenceUNet, PublishedUNet])
@torch.no_grad()
def test_the_reference_networks_agree_with_the_published_code(unet: CinemoUNet, rival: type[ReferenceUNet]) -> None:
    sample, base, text = seeded_inputs(11, 2, 15, 8, 16)
    predicted = rival(unet)(sample, 501, text, base, torch.tensor([8, 95]))
    assert relative_error(predicted, goldens()["unet_a"]) < 1e-5


@torch.no_grad()
def test_the_reference_network_agrees_with_the_optimized_one_at_odd_sizes(unet: CinemoUNet) -> None:
    sample, base, text = seeded_inputs(1, 1, 9, 9, 11)
    bucket = torch.tensor([3])
    straight = ReferenceUNet(unet)(sample, 10, text, base, bucket)
    assert relative_error(unet(sample, 10, text, base, bucket), straight) < 1e-5


def test_a_clip_is_measured_with_every_network(monkeypatch: pytest.MonkeyPatch) -> None:
    # A CPU without bfloat16 would take minutes for the product that the page states.
    monkeypatch.setattr(machine, "SIDE", 64)
    pipe = CinemoPipeline.from_pretrained("tiny")
    own = pipe.unet
    measured = clip_rows(Size("tiny", pipe, runs=1, clip_runs=1, clip_steps=1), torch.device("cpu"))
    assert len(measured) == 4
    assert all(row.seconds > 0 for row in measured)
    assert pipe.unet is own
    ours, half = (next(row for row in measured if row.rival == name) for name in (OURS, HALF))
    assert ours.teraflop == pytest.approx(half.teraflop), "the same work, by whatever routine"


@pytest.mark.parametrize(
    ("flags", "multiplied"),
    [("fma avx2", {torch.float32}), ("avx2 avx512f avx512_bf16", {torch.float32, torch.bfloat16})],
)
def test_bfloat16_is_measured_where_the_cpu_multiplies_it(
    flags: str, multiplied: set[torch.dtype], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cpu_fields", lambda: {"flags": flags})
    assert set(machine.dtypes(torch.device("cpu"))) == multiplied
