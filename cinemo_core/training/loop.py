"""The training loop on accelerate: one process or many, CPU or GPUs, the same configuration and the same numbers.

One function a stage of the run. What a step computes follows from the configuration and the step alone, so a run that
was cut goes on as if it never had been. Source: arXiv 2407.15642, section 3.2, algorithm 1.
"""

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import broadcast_object_list, gather_object, reduce
from safetensors.torch import save_file
from torch import Tensor, nn

from cinemo_core.latents import encode_frames
from cinemo_core.training.config import TrainConfig
from cinemo_core.training.dataset import Listing, list_videos
from cinemo_core.training.errors import TrainingDiverged, TrainingInterrupted
from cinemo_core.training.files import Files, FsspecFiles
from cinemo_core.training.loader import Clip, Clips, LatentCache, check_broken, load_clips, micro_batches
from cinemo_core.training.networks import Model, build, tokenize
from cinemo_core.training.objective import draw, make_task, weighted_loss
from cinemo_core.training.observe import Observer, StepReport
from cinemo_core.training.preflight import Preflight, histogram, look
from cinemo_core.training.samples import make_samples
from cinemo_core.training.state import Progress, latest_state, load_state, read_progress, save_state

MIXED_PRECISION = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
ENCODED_FRAMES = 16


@dataclass
class Run:
    """A training run in flight; `network` is what accelerate made of the model's networks for this process."""

    config: TrainConfig
    folder: Path
    accelerator: Accelerator
    model: Model
    network: nn.Module
    optimizer: Any
    clips: Clips
    progress: Progress
    observer: Observer
    since: "Since"

    @property
    def states(self) -> Path:
        """Where states are saved."""
        return self.folder / "states"


@dataclass
class Since:
    """What has come together since the last report; times in seconds."""

    started: float = field(default_factory=time.monotonic)
    waited: float = 0.0
    steps: int = 0
    loss: Tensor | float = 0.0
    grad_norm: Tensor | float = 0.0


def train(
    config: TrainConfig,
    folder: Path,
    observer: Observer | None = None,
    files: Files | None = None,
    base: str | Path | None = None,
    device: str = "auto",
) -> Run:
    """Carry out a run, or go on with the one whose state `folder` holds.

    Args:
        config: what to do.
        folder: of the run: states, samples, latents, preflight.
        observer: who listens, in the main process.
        files: the dataset; what `config.data.source` names if not given.
        base: a folder that holds the base model; what `config.base_model` names if not given.
        device: `cpu`, or `auto` for a GPU where there is one.

    Raises:
        DatasetError: no video, too many broken ones, or a batch that the processes cannot share evenly.
        CheckpointError: the base model does not load.
        CheckpointMismatch: the folder holds another run.
        TrainingInterrupted: the observer asked to stop.
        TrainingDiverged: the loss is no longer finite.
    """
    # A process may train more than once, and accelerate keeps the first run's precision.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(mixed_precision=MIXED_PRECISION[config.precision], cpu=device == "cpu")
    observer = observer if observer and accelerator.is_main_process else Observer()
    folder.mkdir(parents=True, exist_ok=True)
    model = build(config, base or config.base_model, accelerator.device)
    files = files or FsspecFiles(config.data.source)
    cache = LatentCache(folder / "latents", model.base_revision) if config.data.cache_latents else None
    clips = Clips(files, list_run(files, folder / "states"), config.data, config.seed, cache)
    run = start(config, folder, accelerator, model, clips, observer)
    observer.on_start(preflight(run), run.progress.step)
    carry_out(run)
    return run


def list_run(files: Files, states: Path) -> Listing:
    """The videos of the dataset; of a run that goes on, those that it began with: what came later is no part of it."""
    found, saved = list_videos(files), latest_state(states)
    return found.only(read_progress(saved).videos) if saved else found


def start(
    config: TrainConfig, folder: Path, accelerator: Accelerator, model: Model, clips: Clips, observer: Observer
) -> Run:
    """Make the optimizer, read the newest state if there is one, and hand both to accelerate."""
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
    listing = clips.listing
    videos = [video.name for video in listing.videos]
    fresh = Progress(config.digest(), listing.digest, model.base_revision, videos, broken=dict(listing.broken))
    saved = latest_state(folder / "states")
    progress = load_state(saved, model, optimizer, fresh) if saved else fresh
    model.average.to(accelerator.device)
    network, prepared = accelerator.prepare(model.networks, optimizer)
    if accelerator.scaler is not None and progress.loss_scale:
        accelerator.scaler.load_state_dict(progress.loss_scale)
    return Run(config, folder, accelerator, model, network, prepared, clips, progress, observer, Since())


def preflight(run: Run) -> Preflight:
    """Look at the data once a run, and keep what was seen beside it."""
    found = look(run.clips)
    if run.accelerator.is_main_process:
        (run.folder / "preflight.json").write_text(found.to_json())
        (run.folder / "preflight.png").write_bytes(histogram(found))
    return found


def carry_out(run: Run) -> None:
    """Take the steps that are still to be taken."""
    run.network.train()
    batches = clip_batches(run)
    while run.progress.step < run.config.steps:
        take_step(run, batches)
        step = run.progress.step
        if step % run.config.log_every_steps == 0 or step == run.config.steps:
            report(run)
        if run.config.samples.every_steps and step % run.config.samples.every_steps == 0:
            show_samples(run)
        go_on = agreed(run, run.observer.on_step(step))
        if step % run.config.checkpoint_every_steps == 0 or step == run.config.steps or not go_on:
            save(run)
        if not go_on:
            raise TrainingInterrupted(f"asked to stop after step {step} of {run.config.steps}")


def clip_batches(run: Run) -> Iterator[list[Clip]]:
    """This process's micro-batches, and the time that the loop waits for them."""
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
    """One optimizer step: the gradients of all parts, clipped, and the average moved along."""
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


def clip_loss(run: Run, clips: list[Clip]) -> Tensor:
    """The loss of a micro-batch, a scalar."""
    device, scheduler = run.accelerator.device, run.model.scheduler
    latents = torch.cat([clip_latents(run, clip) for clip in clips])
    shape = torch.Size((latents.shape[1], latents.shape[2] - 1, *latents.shape[3:]))
    timesteps = scheduler.config.num_train_timesteps
    draws = [draw(clip.number, run.config.seed, shape, timesteps, run.config.prompt_dropout) for clip in clips]
    captions = ["" if drawn.drop_caption else clip.caption for drawn, clip in zip(draws, clips, strict=True)]
    tokens = tokenize(run.model.tokenizer, run.model.networks.text_encoder, captions).to(device)
    scale = run.model.card.motion_scale
    buckets = torch.tensor([float(scale.bucket(clip.intensity)) for clip in clips], device=device)
    noise = torch.stack([drawn.noise for drawn in draws]).to(device)
    task = make_task(
        latents,
        noise,
        torch.tensor([drawn.timestep for drawn in draws], device=device),
        scheduler,
        run.config.objective.min_snr_gamma,
    )
    prediction = run.network(task.noised, task.timesteps, tokens, task.image_latent, buckets)
    return weighted_loss(prediction, task)


@torch.no_grad()
def clip_latents(run: Run, clip: Clip) -> Tensor:
    """A clip's latents `(1, c, f, h', w')`, float32: as they were kept, or encoded, and kept where they shall be.

    What is kept is rounded to float16, and so is what is used, that a clip be the same before and after.
    """
    device = run.accelerator.device
    if clip.latents is not None:
        return clip.latents[None].to(device).float()
    assert clip.frames is not None
    latents = encode_frames(run.model.vae, clip.frames.numpy(), device, ENCODED_FRAMES)
    if clip.cache_file is None:
        return latents
    latents = latents.half()
    keep(clip, latents[0])
    return latents.float()


def keep(clip: Clip, latents: Tensor) -> None:
    """Write a clip's latents to its cache file; who reads meanwhile finds the whole file or none."""
    assert clip.cache_file is not None
    clip.cache_file.parent.mkdir(parents=True, exist_ok=True)
    draft = clip.cache_file.with_suffix(f".{clip.number}.part")
    save_file({"latents": latents.cpu().contiguous(), "intensity": torch.tensor(clip.intensity)}, draft)
    draft.replace(clip.cache_file)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then constant or half a cosine down to its last share."""
    schedule = config.schedule
    warm = min(1.0, (step + 1) / max(schedule.warmup_steps, 1))
    if schedule.kind == "constant":
        return warm * config.optimizer.learning_rate
    cosine = (1 + math.cos(math.pi * step / config.steps)) / 2
    return warm * config.optimizer.learning_rate * (schedule.last_share + cosine * (1 - schedule.last_share))


def report(run: Run) -> None:
    """Tell what has come together since the last report.

    Raises:
        TrainingDiverged: the loss is no longer finite.
    """
    since, run.since = run.since, Since()
    seconds = time.monotonic() - since.started
    loss = float(reduce(torch.as_tensor(since.loss) / since.steps, reduction="mean"))
    step, config = run.progress.step, run.config
    if not math.isfinite(loss):
        raise TrainingDiverged(f"the loss is {loss} at step {step}: lower the learning rate or raise the precision")
    told = StepReport(
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
    run.observer.on_report(told)


def show_samples(run: Run) -> None:
    """Make clips with the averaged weights, in the main process."""
    if run.accelerator.is_main_process:
        folder = run.folder / "samples" / f"step-{run.progress.step:08d}"
        with run.model.averaged():
            make_samples(run.model, run.clips, run.config, folder)
        run.network.train()
        run.observer.on_samples(run.progress.step, folder)
    run.accelerator.wait_for_everyone()


def save(run: Run) -> None:
    """Write the state, in the main process."""
    found = gather_object([run.progress.broken]) if run.accelerator.num_processes > 1 else [run.progress.broken]
    run.progress.broken = {name: reason for each in found for name, reason in each.items()}
    run.progress.loss_scale = run.accelerator.scaler.state_dict() if run.accelerator.scaler else None
    if run.accelerator.is_main_process:
        path = save_state(run.states, run.model, run.optimizer.optimizer, run.progress)
        run.observer.on_checkpoint(run.progress.step, path)
    run.accelerator.wait_for_everyone()


def agreed(run: Run, go_on: bool) -> bool:
    """What the main process's observer wants, in all processes."""
    if run.accelerator.num_processes == 1:
        return go_on
    said: list[bool] = broadcast_object_list([go_on])
    return said[0]
