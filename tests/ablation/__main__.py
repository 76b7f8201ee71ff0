"""`make ablation`: the paper's three claims at small scale, on photos that no model saw; writes docs/ablation.md."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image, ImageDraw
from scipy.stats import spearmanr
from skimage.metrics import peak_signal_noise_ratio

from cinemo_core.media import Frames, prepare_image
from cinemo_core.metrics.clip import input_consistency, motion_smoothness
from cinemo_core.motion import motion_score
from cinemo_core.training.dataset import list_videos
from cinemo_core.training.files import FsspecFiles
from cinemo_core.training.initial import InitialConfig, make_initial
from cinemo_core.training.loader import Clips
from cinemo_core.training.networks import Model, build
from cinemo_core.training.render import RenderConfig, render_dataset
from cinemo_core.training.sources import held_out
from cinemo_spec.training import TrainConfig
from deploy.markers import replace_section
from tests.ablation.animate import BEGINNINGS, animate
from tests.ablation.variants import VARIANTS, Variant, load_pool, train_variant
from tests.bench.machine import describe

WIDTH, HEIGHT, FRAMES = 96, 64, 8
SEEDS = (0, 1, 2)
PROMPTS = ("pan left", "pan right", "zoom in", "waves")
INTENSITIES = (4, 9, 14)
SHOWN_FRAMES = (0, 2, 4, 7)
NETWORK = {"block_out_channels": (64, 96), "layers_per_block": 1, "attention_head_dim": 2, "norm_num_groups": 8}
TEXT = {"width": 64, "layers": 2, "heads": 2, "tokens": 32}

Clip = tuple[str, Frames]


@dataclass(frozen=True)
class Figures:
    """Means over photos, prompts, intensities.

    Attributes:
        consistency: colours shared with the input, 0..1.
        still_psnr: of the last frame against the input at intensity 0, dB.
        smoothness: median jump between frames over the largest, 0..1.
        first_jump: jump from the input to the second frame over the median of the later ones; 1 is seamless.
        drift: change of the mean colour over the clip, in levels of 255.
        spearman: rank correlation of the requested intensity, 0..19, with the measured motion.
    """

    consistency: float
    still_psnr: float
    smoothness: float
    first_jump: float
    drift: float
    spearman: float


def measure(make: Callable[[Image.Image, str, float, int], Frames]) -> Figures:
    """Measure one way of animating on the held-out photos."""
    photos = held_out().values()
    clips = [make(photo, prompt, intensity, 0) for photo, prompt, intensity in product(photos, PROMPTS, INTENSITIES)]
    stills = [(np.asarray(prepare_image(photo, WIDTH, HEIGHT)), make(photo, "a photo", 0, 0)) for photo in photos]
    ranks = []
    for photo in photos:
        motion = [1 - motion_score(make(photo, "pan right", intensity, 0)) for intensity in range(20)]
        ranks.append(float(spearmanr(range(20), motion).statistic) if len(set(motion)) > 1 else 0.0)
    return Figures(
        consistency=statistics.fmean(map(input_consistency, clips)),
        still_psnr=statistics.fmean(peak_signal_noise_ratio(still, clip[-1]) for still, clip in stills),
        smoothness=statistics.fmean(map(motion_smoothness, clips)),
        first_jump=statistics.fmean(map(first_jump, clips)),
        drift=statistics.fmean(map(drift, clips)),
        spearman=statistics.fmean(ranks),
    )


def jumps(clip: Frames) -> list[float]:
    return [float(np.abs(after.astype(float) - before).mean()) for before, after in pairwise(clip)]


def first_jump(clip: Frames) -> float:
    first, *others = jumps(clip)
    return first / max(statistics.median(others), 1e-6)


def drift(clip: Frames) -> float:
    return float(np.abs(clip[-1].mean((0, 1)) - clip[0].mean((0, 1))).mean())


def prepare(folder: Path, clips: int) -> tuple[Path, Clips]:
    """Render the data and create the untrained model, unless they exist."""
    source = folder / "clips"
    if not source.exists():
        render_dataset(RenderConfig(clips, FRAMES, WIDTH, HEIGHT), source)
    data = {
        "source": str(source),
        "frames": FRAMES,
        "width": WIDTH,
        "height": HEIGHT,
        "min_interval": 1,
        "max_interval": 1,
        "strong_score": 0.4,
    }
    base = folder / "untrained"
    initial = InitialConfig.model_validate(
        {"name": "untrained", "unet": NETWORK, "text": TEXT, "data": data, "num_inference_steps": 20}
    )
    make_initial(initial, base)
    files = FsspecFiles(str(source))
    return base, Clips(files, list_videos(files), initial.data, seed=0)


def configuration(steps: int, batch: int, seed: int, source: str) -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "name": "ablation",
            "data": {"source": source},
            "steps": steps,
            "batch_size": batch,
            "seed": seed,
            "prompt_dropout": 0.1,
            "ema_decay": 0.99,
            "train_text_encoder": True,
        }
    )


def row(name: str, runs: list[Figures]) -> str:
    """A line of the table: mean and standard deviation over the seeds."""
    cells = []
    for field, digits in (
        ("consistency", 3),
        ("still_psnr", 1),
        ("smoothness", 3),
        ("first_jump", 2),
        ("drift", 2),
        ("spearman", 2),
    ):
        values = [getattr(run, field) for run in runs]
        cells.append(f"{statistics.fmean(values):.{digits}f} ± {statistics.pstdev(values):.{digits}f}")
    return f"| {name} | {' | '.join(cells)} |"


HEADER = (
    "| | consistency with the input | still PSNR, dB | smoothness | first jump | colour drift | Spearman |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def contact_sheet(rows: list[Clip], path: Path) -> None:
    """A row for each clip with four of its frames, enlarged."""
    scale, label = 2, 130
    sheet = Image.new(
        "RGB", (label + len(SHOWN_FRAMES) * (WIDTH * scale + 4), len(rows) * (HEIGHT * scale + 4)), "white"
    )
    draw = ImageDraw.Draw(sheet)
    for index, (name, clip) in enumerate(rows):
        top = index * (HEIGHT * scale + 4)
        draw.text((6, top + HEIGHT), name, fill="black", anchor="lm")
        for column, frame in enumerate(SHOWN_FRAMES):
            picture = Image.fromarray(clip[frame]).resize((WIDTH * scale, HEIGHT * scale), Image.Resampling.BICUBIC)
            sheet.paste(picture, (label + column * (WIDTH * scale + 4), top))
    sheet.save(path, quality=88)


def way(variant: Variant, model: Model, beginning: str) -> Callable[[Image.Image, str, float, int], Frames]:
    return lambda photo, prompt, intensity, seed: animate(
        variant, model, photo, prompt, intensity, seed, BEGINNINGS[beginning], FRAMES
    )


def report(folder: Path, docs: Path, steps: int, batch: int, clips: int, device: torch.device) -> Iterator[str]:
    """The lines of the page, as they become available."""
    base, data = prepare(folder, clips)
    pool = load_pool(data, build(configuration(steps, batch, 0, "x"), base, torch.device("cpu")), clips)
    trained: dict[Variant, list[Figures]] = {variant: [] for variant in VARIANTS}
    begun: dict[str, list[Figures]] = {name: [] for name in BEGINNINGS}
    shown: list[Clip] = []
    photo = next(iter(held_out().values()))
    for seed in SEEDS:
        for variant in VARIANTS:
            model = train_variant(variant, configuration(steps, batch, seed, "x"), str(base), pool, device)
            for beginning in BEGINNINGS if variant == "residual" else ("DCTInit",):
                make = way(variant, model, beginning)
                figures = measure(make)
                print(seed, variant, beginning, figures, flush=True)
                if beginning == "DCTInit":
                    trained[variant].append(figures)
                if variant == "residual":
                    begun[beginning].append(figures)
                if seed == 0:
                    name = beginning if variant == "residual" else f"{variant}, {beginning}"
                    shown.append((name, make(photo, "pan left", 9, 0)))
    contact_sheet(shown, docs / "ablation.jpg")
    yield f"- machine: {describe(device)}"
    yield f"- {steps} steps of {batch} clips, {FRAMES} frames of {WIDTH}x{HEIGHT} pixels, {clips} rendered clips\n"
    yield "## Residuals vs. frames, buckets vs. a constant\n"
    yield HEADER
    yield row("motion residuals, SSIM buckets (the method)", trained["residual"])
    yield row("frames predicted directly", trained["frames"])
    yield row("motion residuals, one bucket for all", trained["constant"])
    yield "\n## Initial noise\n"
    yield HEADER
    for name, runs in begun.items():
        yield row(name, runs)


def main(
    folder: Annotated[Path, typer.Option(help="Where data and the untrained model go.")] = Path("var/ablation"),
    docs: Annotated[Path, typer.Option(help="Where the page goes.")] = Path("docs"),
    steps: Annotated[int, typer.Option(help="Of each of the nine trainings.")] = 1000,
    batch: int = 16,
    clips: int = 4000,
) -> None:
    """Train nine small models, measure them, and write the figures into the page."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    figures = "\n".join(report(folder, docs, steps, batch, clips, device))
    page = docs / "ablation.md"
    page.write_text(replace_section(page.read_text(), "<!-- figures -->", "<!-- end of figures -->", figures))


if __name__ == "__main__":
    typer.run(main)
