"""A denoising step wastes nothing: no copies, no synchronization, nothing that a compiler cannot fuse.

Counted on the meta device, whose tensors cannot be read (see `tests/on_a_gpu.py`).
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from cinemo_core import CinemoUNet, winograd
from cinemo_core.layers import VideoTransformer
from cinemo_core.linear import FEW_PIXELS, MANY_CHANNELS, WINOGRAD_CHANNELS, Conv3x3, PixelwiseConv, linear
from cinemo_core.norms import GroupNorm, normalize
from cinemo_core.samplers import SAMPLERS, make_sampler
from cinemo_core.sampling import Conditions, denoise
from cinemo_core.temporal import TemporalAttention
from cinemo_core.training.initial import make_scheduler
from cinemo_spec.parameters import SamplerName
from tests.goldens import TINY, relative_error
from tests.on_a_gpu import counted

META = torch.device("meta")


def on_meta(dtype: torch.dtype = torch.bfloat16, **config: Any) -> CinemoUNet:
    with META:
        return CinemoUNet(**config).to(dtype).to(memory_format=torch.channels_last).eval()


def first_temporal(unet: CinemoUNet) -> TemporalAttention:
    return next(each for each in unet.modules() if isinstance(each, TemporalAttention))


@torch.no_grad()
def test_a_guided_step_of_the_published_size_copies_only_its_input_into_channels_last_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unet = on_meta()
    text, residual, image = (
        torch.empty(shape, device=META, dtype=unet.dtype)
        for shape in ((2, 77, 768), (2, 4, 15, 40, 64), (2, 4, 1, 40, 64))
    )
    context = unet.prepare(text, 15)
    with counted(monkeypatch) as work:
        unet(residual, torch.empty((), device=META), context, image, torch.empty(2, device=META))
    assert work.copies == 2
    # 16 blocks: pixels, text, frames of both clips.
    assert work.kernels["_scaled_dot_product_efficient_attention"] == 48
    assert work.kernels["native_group_norm"] == 0, "it would copy its input"
    assert work.kernels.total() <= 1160
    assert work.gigabytes < 70


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_loop_reads_nothing_from_the_device_and_sends_nothing_to_it(
    name: SamplerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    unet = on_meta(torch.float32, **TINY)
    image, text = torch.empty(1, 4, 1, 8, 8, device=META), torch.empty(1, 77, 32, device=META)
    given = Conditions(image, text, text, torch.empty(1, device=META), guidance_scale=7.5, guidance_rescale=0.5)
    moved: list[int] = []

    def on_step(step: int, timestep: int, residual: Tensor, clean: Tensor) -> Tensor:
        moved.append(work.kernels["transfer"])
        return residual

    with counted(monkeypatch) as work:
        residual = torch.empty(1, 4, 7, 8, 8, device=META)
        denoise(unet, make_sampler(name, make_scheduler("epsilon")), residual, given, 4, on_step)
    assert moved == [1, 1, 1, 1], "the schedule, once; the meta device raises where something is read from it"


@torch.no_grad()
def test_the_compiled_network_uses_only_what_inductor_supports_and_agrees(unet: CinemoUNet) -> None:
    """No complex numbers, and no product of oneDNN's that it takes for constant weights only."""
    block = next(each for each in unet.modules() if isinstance(each, VideoTransformer))
    generator = torch.Generator().manual_seed(0)
    text, x = torch.randn(2, 5, 32, generator=generator), torch.randn(14, 32, 2, 3, generator=generator)
    context, graphs = block.prepare(text, 7), list[torch.fx.GraphModule]()

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(block, fullgraph=True, backend=backend)(x, context, 7)
    (graph,) = graphs
    values = [node.meta["example_value"] for node in graph.graph.nodes if "example_value" in node.meta]
    assert values
    assert not any(isinstance(value, Tensor) and value.is_complex() for value in values)
    assert not any("mkldnn" in str(node.target) for node in graph.graph.nodes)
    assert relative_error(compiled, block(x, context, 7)) < 1e-6


@pytest.mark.parametrize("clips", [1, 2, 3, 5])
@torch.no_grad()
def test_clips_in_one_batch_do_not_attend_to_each_other(unet: CinemoUNet, clips: int) -> None:
    attention = first_temporal(unet)
    pixels = torch.randn(clips, 7, 5, 32, generator=torch.Generator().manual_seed(0))
    together = attention(pixels.clone(), *attention.tables(clips, 7))
    alone = torch.cat([attention(clip, *attention.tables(1, 7)) for clip in pixels.split(1)])
    assert relative_error(together, alone) < 1e-6


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
@torch.no_grad()
def test_group_norms_agree_on_gpu_and_cpu(dtype: torch.dtype, most: float) -> None:
    """As exact as its own numbers, at a mean of several deviations and with a variance that overflows float16."""
    norm = seeded_norm()
    x = (300 * torch.randn(6, 16, 5, 4, generator=torch.Generator().manual_seed(2)) + 500).to(dtype)
    groups = rearrange(x, "(b f) (g d) h w -> b (f h w) g d", f=3, g=4)
    weight, bias = (each.unflatten(0, (4, -1)).to(dtype) for each in (norm.weight, norm.bias))
    normed = rearrange(normalize(groups, weight, bias, norm.eps), "b (f h w) g d -> (b f) (g d) h w", f=3, h=5)
    assert relative_error(normed.float(), norm(x.float(), frames=3)) < most


def seeded_norm() -> GroupNorm:
    norm = GroupNorm(4, 16, 1e-5)
    generator = torch.Generator().manual_seed(1)
    norm.load_state_dict({name: torch.randn(16, generator=generator) for name in ("weight", "bias")})
    return norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_matrix_product_for_cpus_agrees_with_pytorchs_also_in_its_gradient(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(shape, generator=generator).to(dtype) for shape in ((3, 5, 8), (6, 8), (6,)))
    expected, most = F.linear(x, weight, bias), 1e-6 if dtype == torch.float32 else 1e-2
    assert relative_error(linear(x, weight, bias), expected) < most
    assert relative_error(linear(x[:, ::2, :], weight, None), F.linear(x[:, ::2], weight)) < most
    weight.requires_grad_()
    product = linear(x, weight, bias)
    assert relative_error(product.detach(), expected) < most
    (gradient,) = torch.autograd.grad(product.sum(), weight)
    assert relative_error(gradient, x.sum((0, 1)).expand(6, 8)) < most


@torch.no_grad()
def test_the_1x1_convolution_agrees_with_pytorchs() -> None:
    x = torch.randn(2, 8, 3, 5, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    conv = PixelwiseConv(8, 6, 1)
    assert relative_error(conv(x), F.conv2d(x, conv.weight, conv.bias)) < 1e-6
    assert conv(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("width", [5, 300], ids=["few pixels", "many pixels"])
@pytest.mark.parametrize(
    ("inputs", "outputs"), [(8, 8), (8, MANY_CHANNELS), (WINOGRAD_CHANNELS, WINOGRAD_CHANNELS)], ids=str
)
@torch.no_grad()
def test_the_3x3_convolution_agrees_with_pytorchs_at_every_size(inputs: int, outputs: int, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, inputs, 3, width, generator=generator).to(memory_format=torch.channels_last)
    conv: Any = Conv3x3(inputs, outputs, 3, padding=1)
    conv.to(memory_format=torch.channels_last)
    assert (2 * 3 * width <= FEW_PIXELS) == (width == 5)
    # Winograd's algorithm rounds more often than the others.
    most = 2e-6 if min(inputs, outputs) >= WINOGRAD_CHANNELS else 1e-6
    assert relative_error(conv(x), F.conv2d(x, conv.weight, conv.bias, padding=1)) < most
    assert conv(x).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 6), (5, 4), (4, 5), (7, 3)])
@torch.no_grad()
def test_winograds_convolution_agrees_with_pytorchs_at_every_shape(
    height: int, width: int, with_bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three images are convolved one by one.
    monkeypatch.setattr(winograd, "PRODUCT_VALUES", 1)
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((3, 6, height, width), (8, 6, 3, 3), (8,))
    )
    given = bias if with_bias else None
    expected = F.conv2d(x, weight, given, padding=1)
    assert relative_error(winograd.convolve(x, weight, given, F.linear), expected) < 1e-14


def test_a_3x3_convolution_over_few_pixels_has_gradients() -> None:
    x = torch.randn(1, 8, 3, 5, generator=torch.Generator().manual_seed(0))
    conv: Any = Conv3x3(8, MANY_CHANNELS, 3, padding=1)
    conv(x).sum().backward()
    assert conv.weight.grad is not None
    conv.requires_grad_(False).bias.requires_grad_()
    conv(x).sum().backward()
    assert conv.bias.grad is not None
