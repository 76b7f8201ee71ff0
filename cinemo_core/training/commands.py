"""Training commands: render a dataset, check one, create an untrained model, train a model."""

import shutil
import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from tqdm import tqdm

from cinemo_core.console import check_output, check_output_folder, report_errors
from cinemo_core.training.comparison import compare
from cinemo_core.training.dataset import list_videos
from cinemo_core.training.errors import TrainingInterrupted
from cinemo_core.training.files import FsspecFiles
from cinemo_core.training.initial import InitialConfig, make_initial
from cinemo_core.training.loader import Clips
from cinemo_core.training.loop import train
from cinemo_core.training.observer import Observer, StepReport
from cinemo_core.training.preflight import Preflight, histogram, look
from cinemo_core.training.publish import publish, side_by_side
from cinemo_core.training.render import RenderConfig, render_dataset
from cinemo_core.training.tensorboard import TensorBoard
from cinemo_spec.distillation import Comparison
from cinemo_spec.training import DataConfig, TrainConfig

INTERRUPTED = 75
"""EX_TEMPFAIL of sysexits.h: try again."""

KEPT_STATES = 2


class Console(Observer):
    """Shows a progress bar and messages, and deletes old states."""

    def __init__(self, states: Path, tensorboard: TensorBoard) -> None:
        self._states, self._tensorboard = states, tensorboard
        self._bar: tqdm[None] | None = None
        self._stop = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        """On the first signal, finish the step and save; a second one ends the process immediately."""
        self._stop = True
        signal.signal(number, signal.SIG_DFL)

    def on_start(self, preflight: Preflight, step: int) -> None:
        """Print the results of the preflight."""
        self._tensorboard.on_start(preflight, step)
        typer.echo(f"{preflight.captioned} of {preflight.videos} videos are captioned")
        for note in preflight.notes:
            typer.echo(f"note: {note}")
        typer.echo(f"{len(preflight.broken)} of {preflight.sampled} sampled videos are broken")
        typer.echo(f"clips by motion bucket, 0 to 19: {' '.join(map(str, preflight.buckets))}")
        if step:
            typer.echo(f"resuming after step {step}")

    def on_step(self, step: int) -> bool:
        """Continue until a signal arrives."""
        return not self._stop

    def on_report(self, report: StepReport) -> None:
        """Update the progress bar."""
        self._tensorboard.on_report(report)
        self._bar = self._bar or tqdm(total=report.steps, initial=report.step, mininterval=2)
        self._bar.set_postfix_str(
            f"loss {report.loss:.4f}, {report.clips_per_second:.2f} clips/s, waiting {report.waiting_share:.0%}"
        )
        self._bar.update(report.step - self._bar.n)

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """Delete all but the newest states."""
        for old in sorted(self._states.glob("step-*"))[:-KEPT_STATES]:
            shutil.rmtree(old)

    def on_samples(self, step: int, folder: Path) -> None:
        """Print where the samples are."""
        self._tensorboard.on_samples(step, folder)
        typer.echo(f"samples of step {step}: {folder}")

    def on_comparison(self, comparison: Comparison) -> None:
        """Say how the student compares with its teacher."""
        typer.echo(side_by_side(comparison.model_dump()))

    def on_no_samples(self, step: int, reason: str) -> None:
        """Print why there are no samples."""
        typer.echo(f"no samples of step {step}: {reason}", err=True)


def train_model(
    config: Annotated[Path, typer.Argument(help="YAML, see docs/training.md.", exists=True, dir_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder of the model.")],
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; an unfinished run resumes. Defaults to var/training/<name>."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Train a model. For several processes, use `accelerate launch --multi_gpu -m cinemo_core train …`."""
    with report_errors():
        plan = TrainConfig.read(config)
        check_output_folder(output)
        folder = run or Path("var/training") / plan.name
        console = Console(folder / "states", TensorBoard(folder / "tensorboard"))
        try:
            done = train(plan, folder, console, device=device)
            comparison = compare(done) if plan.method == "distill" and done.accelerator.is_main_process else None
        except TrainingInterrupted as stopped:
            typer.echo(f"{stopped}; run the same command again to resume")
            raise typer.Exit(INTERRUPTED) from stopped
        if done.accelerator.is_main_process:
            revision = publish(done, output, comparison)
            typer.echo(f"{output}: {plan.name}@{revision}, loss {done.progress.metrics[-1]['loss']:.4f}")


def look_at_dataset(
    source: Annotated[str, typer.Argument(help="A folder or URI of videos or WebDataset shards.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output PNG of the histogram.")] = Path("buckets.png"),
    width: int = 512,
    height: int = 320,
    frames: int = 16,
    min_interval: int = 3,
    max_interval: int = 10,
    strong_score: Annotated[float, typer.Option(help="Mean SSIM at which the strongest motion bucket starts.")] = 0.0,
    videos: Annotated[int, typer.Option(help="Number of videos to read.")] = 64,
    allow_uncaptioned: Annotated[bool, typer.Option(help="Accept a manifest without captions.")] = False,
) -> None:
    """Check a sample of a dataset: which videos are broken, and how much the clips move."""
    with report_errors():
        check_output(output)
        files = FsspecFiles(source)
        data = DataConfig(
            source=source,
            width=width,
            height=height,
            frames=frames,
            min_interval=min_interval,
            max_interval=max_interval,
            strong_score=strong_score,
            preflight_videos=videos,
            max_broken_share=1,
        )
        found = look(Clips(files, list_videos(files, allow_uncaptioned), data, seed=0))
        output.write_bytes(histogram(found))
    typer.echo(found.to_json())


def new_model(
    config: Annotated[Path, typer.Argument(help="YAML, see docs/training.md.", exists=True, dir_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Output folder of the model.")],
) -> None:
    """Create an untrained model of any size, with a picture codec fitted to the data, or a motion codec."""
    with report_errors():
        check_output_folder(output)
        make_initial(InitialConfig.read(config), output)
    typer.echo(f"{output}: untrained")


def render_clips(
    output: Annotated[Path, typer.Argument(help="Output folder of the shards.")],
    clips: int = 1000,
    width: int = 144,
    height: int = 96,
    frames: int = 16,
    seed: int = 0,
    processes: int = 2,
) -> None:
    """Render a captioned dataset from the photos included in scikit-image."""
    with report_errors():
        check_output_folder(output)
        render_dataset(RenderConfig(clips, frames, width, height, seed=seed), output, processes)
    typer.echo(f"{output}: {clips} clips")
