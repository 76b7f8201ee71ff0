"""One guided forward pass and a whole clip: two baselines, ours, and ours at half precision."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPTextConfig, CLIPTextModel

from cinemo_core import CinemoPipeline, CinemoUNet
from cinemo_core.training.initial import make_scheduler
from cinemo_core.training.sources import photo_path
from cinemo_spec.card import ModelCard
from tests.bench.machine import dtypes, matmul_rate
from tests.bench.published import PublishedUNet
from tests.bench.reference import ReferenceUNet
from tests.bench.timing import medians

STRAIGHT, PUBLISHED = "straightforward, float32", "as published, float32"
OURS, HALF = "ours, float32", "ours, bfloat16"


@dataclass(frozen=True)
class Size:
    """A configuration at a clip size in pixels; how often each is measured, the steps of a clip, and number types."""

    name: str
    pipe: CinemoPipeline
    runs: int
    clip_runs: int
    clip_steps: int
    dtypes: Sequence[torch.dtype] = (torch.float32, torch.bfloat16)


@dataclass(frozen=True)
class Row:
    """Measurements of one candidate."""

    rival: str
    seconds: float
    speed_up: float
    teraflop: float
    share_of_matmul: float


def sizes(device: torch.device, width: int, height: int) -> list[Size]:
    """The built-in model, and the published configuration with random weights."""
    tiny = CinemoPipeline.from_pretrained("tiny", device=device)
    full = full_size(width, height).to(device)
    for pipe in (tiny, full):
        pipe.set_progress_bar_config(disable=True)
    return [
        Size("tiny configuration, 144x96", tiny, runs=9, clip_runs=5, clip_steps=20, dtypes=dtypes(device)),
        Size(f"full configuration, {width}x{height}", full, runs=3, clip_runs=1, clip_steps=4, dtypes=dtypes(device)),
    ]


def full_size(width: int, height: int) -> CinemoPipeline:
    """A model with every component of the published size."""
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    )
    text = CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12))
    unet = CinemoUNet().eval().requires_grad_(False).to(memory_format=torch.channels_last)
    tokenizer = CinemoPipeline.from_pretrained("tiny").tokenizer
    card = ModelCard("full", width=width, height=height)
    return CinemoPipeline(unet, vae.eval(), text.eval(), tokenizer, make_scheduler("epsilon"), card)


def rivals(size: Size) -> dict[str, Any]:
    """The network in each implementation, with the same weights."""
    unet = size.pipe.unet
    networks = {STRAIGHT: ReferenceUNet(unet), PUBLISHED: PublishedUNet(unet), OURS: unet}
    return networks | ({HALF: deepcopy(unet).to(torch.bfloat16)} if torch.bfloat16 in size.dtypes else {})


def guided_inputs(unet: CinemoUNet, width: int, height: int, tokens: int, device: torch.device) -> tuple[Any, ...]:
    """A batch of two clips of 16 frames, on the latent grid of `width x height` pixels."""
    generator = torch.Generator().manual_seed(0)
    channels, text_width = unet.config.in_channels, unet.config.cross_attention_dim

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device)

    residual, image = draw(2, channels, 15, height // 8, width // 8), draw(2, channels, 1, height // 8, width // 8)
    return residual, 501, draw(2, tokens, text_width), image, torch.tensor([8.0, 8.0], device=device)


@torch.no_grad()
def forward_rows(size: Size, device: torch.device) -> list[Row]:
    """One guided forward pass of each candidate."""
    passes = forward_passes(size, device)
    return rows(medians(passes, size.runs), {name: flops(each) for name, each in passes.items()}, size, device)


def clip_rows(size: Size, device: torch.device) -> list[Row]:
    """A whole clip of each candidate, photo in, frames out; counts only the network's work."""
    photo, own = Image.open(photo_path("coffee.png")), size.pipe.unet

    def clip(unet: Any) -> object:
        size.pipe.unet = unet
        return size.pipe(photo, "zoom in", num_inference_steps=size.clip_steps, guidance_scale=7.5, detail="off")

    clips = {name: partial(clip, unet) for name, unet in rivals(size).items()}
    seconds = medians(clips, size.clip_runs, warm_up=False)
    size.pipe.unet = own
    work = {name: size.clip_steps * flops(each) for name, each in forward_passes(size, device).items()}
    return rows(seconds, work, size, device)


def forward_passes(size: Size, device: torch.device) -> dict[str, Callable[[], object]]:
    """A guided forward pass of each candidate, ready to be called."""
    pipe = size.pipe
    tokens = pipe.text_encoder.config.max_position_embeddings
    inputs = guided_inputs(pipe.unet, pipe.card.width, pipe.card.height, tokens, device)
    passes: dict[str, Callable[[], object]] = {}
    for name, unet in rivals(size).items():
        residual, timestep, text, image, bucket = (
            each.to(unet.dtype) if torch.is_tensor(each) else each for each in inputs
        )
        passes[name] = partial(unet, residual, timestep, unet.prepare(text, residual.shape[2]), image, bucket)
    return passes


@torch.no_grad()
def flops(action: Callable[[], object]) -> float:
    """Floating-point operations of one run."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.mkldnn._linear_pointwise: linear_flops}) as counter:
        action()
    return counter.get_total_flops()


def linear_flops(x: Sequence[int], weight: Sequence[int], *_: Any, **__: Any) -> int:
    """Floating-point operations of oneDNN's `x (..., c)` times `weight (c', c)`, which the counter doesn't know."""
    return 2 * prod(x) * weight[0]


def rows(seconds: dict[str, float], work: dict[str, float], size: Size, device: torch.device) -> list[Row]:
    """Times as ratios to the first candidate's and as shares of the machine's own rate."""
    rates = {dtype: matmul_rate(device, dtype) for dtype in size.dtypes}
    slowest = seconds[STRAIGHT]
    return [
        Row(
            name,
            taken,
            slowest / taken,
            work[name] / 1e12,
            work[name] / taken / rates[torch.bfloat16 if name == HALF else torch.float32],
        )
        for name, taken in seconds.items()
    ]
