"""The training loop, on accelerate: the same configuration gives the same numbers on one process or many, CPU or GPUs.

Each stage of a run is one function. A step depends only on the configuration and its number, so an interrupted run
resumes as if it had never stopped. Source: arXiv 2407.15642, section 3.2, algorithm 1.
"""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object, reduce

from cinemo_core.devices import require_device
from cinemo_core.memory import raises_out_of_memory
from cinemo_core.sandbox.limits import DEFAULT_LIMITS, MediaLimits
from cinemo_core.training.errors import TrainingDiverged, TrainingInterrupted
from cinemo_core.training.files import Files, FsspecFiles
from cinemo_core.training.kinds import CLIPS, list_source
from cinemo_core.training.listing import Listing
from cinemo_core.training.loader import Clip, Clips, LatentCache, check_broken, load_clips, micro_batches
from cinemo_core.training.loss import clip_loss
from cinemo_core.training.networks import Model, build
from cinemo_core.training.observer import Observer, StepReport
from cinemo_core.training.preflight import Preflight, histogram, look
from cinemo_core.training.resume import begun_with, check_same_run, described, noting_damage
from cinemo_core.training.run import Run, Since
from cinemo_core.training.samples import make_samples
from cinemo_core.training.schedule import learning_rate
from cinemo_core.training.state import Progress, Saved, load_state, newest_state, save_state
from cinemo_spec.errors import NumbersOverflowed, OutOfMemory
from cinemo_spec.training import DataConfig, TrainConfig

AGAINST_DIVERGENCE = "lower the learning rate or raise the precision"
MIXED_PRECISION = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}


def train(
    config: TrainConfig,
    folder: Path,
    observer: Observer | None = None,
    files: Files | None = None,
    base: str | Path | None = None,
    device: str = "auto",
    limits: MediaLimits = DEFAULT_LIMITS,
) -> Run:
    """Start a run, or resume the one whose state is in `folder`.

    Args:
        config: of the run.
        folder: for the run's states, samples, latents and preflight.
        observer: called in the main process.
        files: the dataset; defaults to `config.data.source`.
        base: folder of the base model; defaults to `config.base_model`.
        device: `cpu`, `cuda`, or `auto` for a GPU if there is one.
        limits: for decoding a video.

    Raises:
        DatasetError: no video, too many broken ones, or a batch that cannot be divided evenly between processes.
        CheckpointError: the base model does not load.
        InvalidParameter: the device is not available.
        CheckpointMismatch: the folder contains another run.
        TrainingInterrupted: the observer asked to stop.
        TrainingDiverged: the loss is no longer finite.
    """
    # A process may train more than once, and accelerate keeps the first run's precision.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(mixed_precision=MIXED_PRECISION[config.precision], cpu=require_device(device) == "cpu")
    observer = observer if observer and accelerator.is_main_process else Observer()
    folder.mkdir(parents=True, exist_ok=True)
    model = build(config, base or config.base_model, accelerator.device)
    files = files or FsspecFiles(config.data.source)
    cache = LatentCache(folder / "latents", model.base_weights) if config.data.cache_latents else None
    saved = newest_state(folder / "states")
    listing = list_run(files, config.data, saved)
    clips = CLIPS[config.data.kind](files, listing, config.data, config.seed, cache, limits, config.batch_size)
    run = start(config, folder, accelerator, model, clips, observer, saved)
    observer.on_start(preflight(run), run.progress.step)
    run_steps(run)
    return run


def list_run(files: Files, config: DataConfig, saved: Saved | None) -> Listing:
    """The videos of the dataset; for a resumed run, those it began with."""
    found = list_source(files, config)
    return noting_damage(begun_with(found, saved.progress), saved) if saved else found


def start(
    config: TrainConfig,
    folder: Path,
    accelerator: Accelerator,
    model: Model,
    clips: Clips,
    observer: Observer,
    saved: Saved | None,
) -> Run:
    """Make the optimizer, load the state if there is one, and prepare both with accelerate."""
    settings = config.optimizer
    kind = torch.optim.AdamW if settings.weight_decay else torch.optim.Adam
    optimizer = kind(
        model.trained().values(),
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    progress = initial_progress(config, model, clips, saved)
    if saved:
        load_state(saved, model, optimizer)
    network, prepared = accelerator.prepare(model.networks, optimizer)
    if accelerator.scaler is not None and progress.loss_scale:
        accelerator.scaler.load_state_dict(progress.loss_scale)
    sound = torch.zeros((), device=accelerator.device)
    return Run(config, folder, accelerator, model, network, prepared, clips, progress, observer, sound)


def initial_progress(config: TrainConfig, model: Model, clips: Clips, saved: Saved | None) -> Progress:
    """The progress of a new run, or that of the saved state.

    Raises:
        CheckpointMismatch: the state belongs to a run that computes something else.
        DatasetError: too many videos no longer exist.
    """
    listing = clips.listing
    fresh = Progress(config.numbers(), model.base_weights, described(listing), broken=dict(listing.broken))
    if saved is None:
        return fresh
    check_same_run(saved, config, model.base_weights)
    missing = {video.name: video.missing for video in listing.videos if video.missing}
    broken = {**saved.progress.broken, **missing}
    check_broken(clips, broken)
    known = {**saved.progress.videos, **fresh.videos}
    return replace(saved.progress, config=fresh.config, videos=known, broken=broken)


def preflight(run: Run) -> Preflight:
    """Check the data at each start, in each process, so that all stop if it is unusable; save the results."""
    found = look(run.clips)
    if run.accelerator.is_main_process:
        (run.folder / "preflight.json").write_text(found.to_json())
        (run.folder / "preflight.png").write_bytes(histogram(found))
    return found


def run_steps(run: Run) -> None:
    """Run the remaining steps."""
    run.network.train()
    batches = clip_batches(run)
    # The first report covers the steps only, not the preflight.
    run.since = Since()
    while run.progress.step < run.config.steps:
        take_step(run, batches)
        step = run.progress.step
        if step % run.config.log_every_steps == 0 or step == run.config.steps:
            report(run)
        go_on = all_agree(run, run.observer.on_step(step))
        if step % run.config.checkpoint_every_steps == 0 or step == run.config.steps or not go_on:
            save(run)
        if not go_on:
            raise TrainingInterrupted(f"asked to stop after step {step} of {run.config.steps}")
        # The state is saved first, so that a failure here does not lose it.
        if run.config.samples.every_steps and step % run.config.samples.every_steps == 0:
            show_samples(run)


def clip_batches(run: Run) -> Iterator[list[Clip]]:
    """This process's micro-batches; adds up the time spent waiting for them."""
    accelerator = run.accelerator
    numbers = micro_batches(run.config, run.progress.step, accelerator.num_processes, accelerator.process_index)
    batches = load_clips(run.clips, numbers, run.config.data.workers)
    while True:
        asked = time.monotonic()
        clips = next(batches)
        run.since.waited += time.monotonic() - asked
        for clip in clips:
            run.progress.broken |= clip.broken
        check_broken(run.clips, run.progress.broken)
        yield clips


def take_step(run: Run, batches: Iterator[list[Clip]]) -> None:
    """Take one optimizer step: accumulate gradients, clip them, and update weights and average."""
    parts = run.config.gradient_accumulation_steps
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(run.config, run.progress.step)
    loss = torch.zeros((), device=run.accelerator.device)
    for part in range(parts):
        last = part == parts - 1
        with nullcontext() if last else run.accelerator.no_sync(run.network):
            share = clip_loss(run, next(batches)) / parts
            run.accelerator.backward(share)
        loss += share.detach()
    grad_norm = run.accelerator.clip_grad_norm_(run.network.parameters(), run.config.optimizer.max_grad_norm)
    run.optimizer.step()
    run.optimizer.zero_grad()
    run.model.average.step(run.model.trained().values())
    run.progress.step += 1
    run.since.steps += 1
    run.since.loss += loss
    run.since.grad_norm = grad_norm
    # float16's scaler skips steps that overflow; those do not change the weights.
    if not run.optimizer.step_was_skipped:
        run.sound = loss + grad_norm


def report(run: Run) -> None:
    """Report averages since the last report.

    Raises:
        TrainingDiverged: the loss is no longer finite.
    """
    since, run.since = run.since, Since()
    seconds = time.monotonic() - since.started
    loss = float(reduce(torch.as_tensor(since.loss) / since.steps, reduction="mean"))
    step, config = run.progress.step, run.config
    if not math.isfinite(loss):
        raise TrainingDiverged(f"the loss is {loss} at step {step}: {AGAINST_DIVERGENCE}")
    step_report = StepReport(
        step=step,
        steps=config.steps,
        loss=loss,
        learning_rate=learning_rate(config, step - 1),
        grad_norm=float(since.grad_norm),
        clips_per_second=since.steps * config.batch_size / seconds,
        waiting_share=since.waited / seconds,
        broken_videos=len(run.progress.broken),
    )
    run.progress.metrics.append({"step": step, "loss": loss})
    run.observer.on_report(step_report)


def show_samples(run: Run) -> None:
    """Make clips with the averaged weights, in the main process. Lack of memory or precision doesn't end the run."""
    if run.accelerator.is_main_process:
        step = run.progress.step
        folder = run.folder / "samples" / f"step-{step:08d}"
        try:
            sample(run, folder)
        except (NumbersOverflowed, OutOfMemory) as error:
            run.observer.on_no_samples(step, str(error))
        else:
            run.observer.on_samples(step, folder)
        run.network.train()
    run.accelerator.wait_for_everyone()


@raises_out_of_memory
def sample(run: Run, folder: Path) -> None:
    """Make clips in the run's precision."""
    with run.model.averaged(), run.accelerator.autocast():
        make_samples(run.model, run.clips, run.config, folder)


def save(run: Run) -> None:
    """Write the state, in the main process.

    Raises:
        TrainingDiverged: the last step corrupted the weights.
    """
    check_finite(run)
    found = gather_object([run.progress.broken]) if run.accelerator.num_processes > 1 else [run.progress.broken]
    run.progress.broken = {name: reason for each in found for name, reason in each.items()}
    run.progress.loss_scale = run.accelerator.scaler.state_dict() if run.accelerator.scaler else None
    if run.accelerator.is_main_process:
        path = save_state(run.states, run.model, run.optimizer.optimizer, run.progress)
        run.observer.on_checkpoint(run.progress.step, path)
    run.accelerator.wait_for_everyone()


def check_finite(run: Run) -> None:
    """Raise `TrainingDiverged`, in all processes, if loss or gradient of the last step were not finite."""
    if not math.isfinite(float(reduce(run.sound, reduction="mean"))):
        raise TrainingDiverged(f"loss or gradient is not finite at step {run.progress.step}: {AGAINST_DIVERGENCE}")


def all_agree(run: Run, go_on: bool) -> bool:
    """Whether no process's observer wants to stop, in all processes."""
    if run.accelerator.num_processes == 1:
        return go_on
    stops = reduce(torch.tensor(float(not go_on), device=run.accelerator.device), reduction="sum")
    return not stops.item()
