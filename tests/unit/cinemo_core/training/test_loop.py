"""Whole training runs at toy size: they learn, they go on as if never cut, and what they publish animates."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from cinemo_core import CheckpointError, CinemoPipeline
from cinemo_core.checkpoint import BUILT_IN
from cinemo_core.training.config import TrainConfig
from cinemo_core.training.errors import (
    CheckpointMismatch,
    DatasetError,
    TrainingDiverged,
    TrainingInterrupted,
)
from cinemo_core.training.loop import Run, train
from cinemo_core.training.observe import Observer, StepReport
from cinemo_core.training.publish import publish
from tests.datasets import training, write_folder
from tests.processes import wait_until


class Cut(Exception):
    """Ends a run at once, as a crash does."""


class CutAfter(Observer):
    """Cuts a run after some step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, step: int) -> bool:
        if step == self.step:
            raise Cut
        return True


class StopAfter(CutAfter):
    """Asks a run to stop after some step."""

    def on_step(self, step: int) -> bool:
        return step != self.step


class Listener(Observer):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.reports: list[StepReport] = []
        self.states: list[Path] = []
        self.samples: list[Path] = []

    def on_report(self, report: StepReport) -> None:
        self.reports.append(report)

    def on_checkpoint(self, step: int, folder: Path) -> None:
        self.states.append(folder)

    def on_samples(self, step: int, folder: Path) -> None:
        self.samples.append(folder)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def plain_losses(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Those of a run as others are, which several runs are held against."""
    return losses(on_cpu(training(videos), tmp_path_factory.mktemp("plain")))


def on_cpu(config: TrainConfig, folder: Path, observer: Observer | None = None) -> Run:
    return train(config, folder, observer, device="cpu")


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in run.model.trained().items()}


def losses(run: Run) -> list[float]:
    return [each["loss"] for each in run.progress.metrics]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_run_that_was_cut_twice_ends_with_the_same_bits(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=7)
    whole = on_cpu(config, tmp_path / "whole")
    for step in (3, 5):
        with pytest.raises(Cut):
            on_cpu(config, tmp_path / "cut", CutAfter(step))
    resumed = on_cpu(config, tmp_path / "cut")
    assert equal(weights(whole), weights(resumed))
    assert losses(whole) == losses(resumed)
    shadows = zip(whole.model.average.shadow_params, resumed.model.average.shadow_params, strict=True)
    assert all(torch.equal(one, other) for one, other in shadows)


def test_a_run_that_is_asked_to_stop_saves_first(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=5, checkpoint_every_steps=100)
    with pytest.raises(TrainingInterrupted, match="after step 3 of 5"):
        on_cpu(config, tmp_path / "stopped", StopAfter(3))
    listener = Listener()
    resumed = on_cpu(config, tmp_path / "stopped", listener)
    assert [report.step for report in listener.reports] == [4, 5]
    assert equal(weights(on_cpu(config, tmp_path / "whole")), weights(resumed))


def test_the_loss_of_a_clip_learnt_by_heart_falls(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=24, batch_size=4, log_every_steps=8, optimizer={"learning_rate": 3e-4})
    first, _, last = losses(on_cpu(config, tmp_path))
    assert last < 0.9 * first


def test_a_step_in_parts_is_the_same_step(videos: Path, tmp_path: Path) -> None:
    whole = on_cpu(training(videos, batch_size=4), tmp_path / "whole")
    parts = on_cpu(training(videos, batch_size=4, gradient_accumulation_steps=4), tmp_path / "parts")
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-3)


def test_two_processes_are_one_with_twice_the_batch(videos: Path, tmp_path: Path) -> None:
    config = training(videos, batch_size=4, optimizer={"learning_rate": 1e-4})
    one = on_cpu(config, tmp_path / "one")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes=2", "--num_machines=1"]
    settings = ["--mixed_precision=no", "--dynamo_backend=no", "--num_cpu_threads_per_process=1"]
    command = ["-m", "cinemo_core", "train", "config.yaml", "--run=two", "--output=model", "--device=cpu"]
    subprocess.run([sys.executable, *launch, *settings, *command], cwd=tmp_path, check=True, capture_output=True)
    published = json.loads((tmp_path / "model" / "training.json").read_text())
    assert [each["loss"] for each in published["loss_curve"]] == pytest.approx(losses(one), rel=1e-3)
    trained = load_file(tmp_path / "two" / "states" / "step-00000004" / "weights.safetensors")
    difference = max((trained[name] - value).abs().max() for name, value in weights(one).items())
    assert difference < 2e-4


def test_checkpointed_activations_change_nothing_but_the_memory(
    videos: Path, plain_losses: list[float], tmp_path: Path
) -> None:
    run = on_cpu(training(videos, gradient_checkpointing=True), tmp_path)
    assert losses(run) == pytest.approx(plain_losses, rel=1e-4)


def test_latents_that_are_cached_are_those_that_are_not(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=8, data={"cache_latents": True, "variants": 1, "min_interval": 1})
    first = on_cpu(config, tmp_path / "run")
    cached = len(list((tmp_path / "run" / "latents").iterdir()))
    assert cached == 12
    again = on_cpu(config, tmp_path / "other", None)
    (tmp_path / "third").mkdir()
    (tmp_path / "run" / "latents").rename(tmp_path / "third" / "latents")
    third = on_cpu(config, tmp_path / "third")
    assert losses(first) == losses(again) == losses(third)


def test_low_rank_updates_leave_the_base_as_it_is_and_are_merged_in_the_end(videos: Path, tmp_path: Path) -> None:
    run = on_cpu(training(videos, lora={"rank": 4, "alpha": 8}, ema_decay=0), tmp_path / "run")
    names = list(run.model.trained())
    assert names
    assert all(".lora_" in name and ".attn" in name for name in names)
    publish(run, tmp_path / "model")
    made = load_file(tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors")
    base = load_file(BUILT_IN["tiny"] / "unet" / "diffusion_pytorch_model.safetensors")
    changed = {name for name, value in base.items() if not torch.equal(value, made[name])}
    assert made.keys() == base.keys()
    assert changed
    assert all(".attn" in name and name.endswith(".weight") for name in changed)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_less_precise_runs_learn_too(videos: Path, plain_losses: list[float], tmp_path: Path, precision: str) -> None:
    run = on_cpu(training(videos, precision=precision), tmp_path)
    assert losses(run)[0] == pytest.approx(plain_losses[0], rel=0.1)
    assert all(value.dtype == torch.float32 for value in weights(run).values())


def test_what_is_published_is_the_average_and_says_where_it_comes_from(videos: Path, tmp_path: Path) -> None:
    run = on_cpu(training(videos, train_text_encoder=True), tmp_path / "run")
    average = dict(zip(run.model.trained(), [each.clone() for each in run.model.average.shadow_params], strict=True))
    revision = publish(run, tmp_path / "model")
    made = load_file(tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors")
    trained = {name.removeprefix("unet."): value.half() for name, value in average.items() if name.startswith("unet.")}
    assert len(trained) > 100
    assert all(torch.equal(value, made[name]) for name, value in trained.items())
    pipe = CinemoPipeline.from_pretrained(tmp_path / "model")
    assert pipe.revision == revision
    assert (pipe.card.name, pipe.card.width, pipe.card.height) == ("toy", 48, 32)
    assert pipe(Image.new("RGB", (60, 40), "teal"), "pan left", num_inference_steps=2).shape == (16, 32, 48, 3)
    origin = json.loads((tmp_path / "model" / "training.json").read_text())
    assert TrainConfig.model_validate(origin["config"]) == run.config
    assert origin["base_model"] == {"name": "tiny", "revision": CinemoPipeline.from_pretrained("tiny").revision}
    assert origin["data"]["digest"] == run.clips.listing.digest
    assert [each["step"] for each in origin["loss_curve"]] == [1, 2, 3, 4]
    assert revision in (tmp_path / "model" / "README.md").read_text()


def test_samples_and_reports_come_as_often_as_asked_and_change_nothing(
    videos: Path, plain_losses: list[float], tmp_path: Path
) -> None:
    listener = Listener()
    shown = training(videos, samples={"every_steps": 2, "clips": 1, "num_inference_steps": 1})
    run = on_cpu(shown, tmp_path, listener)
    assert [folder.name for folder in listener.samples] == ["step-00000002", "step-00000004"]
    assert sorted(path.name for path in listener.samples[0].iterdir()) == ["0.jpg", "0.mp4"]
    assert [folder.name for folder in listener.states] == ["step-00000002", "step-00000004"]
    assert [(report.step, report.steps) for report in listener.reports] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all(report.clips_per_second > 0 and 0 <= report.waiting_share <= 1 for report in listener.reports)
    assert losses(run) == plain_losses


def test_a_state_of_another_run_is_refused(videos: Path, tmp_path: Path) -> None:
    on_cpu(training(videos, steps=2), tmp_path / "run")
    with pytest.raises(CheckpointMismatch, match="another config"):
        on_cpu(training(videos, steps=2, seed=1), tmp_path / "run")


def test_a_run_goes_on_with_the_videos_that_it_began_with(plain_losses: list[float], tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "videos")
    config = training(folder)
    with pytest.raises(Cut):
        on_cpu(config, tmp_path / "run", CutAfter(3))
    shutil.copy(folder / "000000.mp4", folder / "000000-later.mp4")
    assert losses(on_cpu(config, tmp_path / "run")) == plain_losses
    (folder / "000000.mp4").unlink()
    with pytest.raises(CheckpointMismatch, match="another data"):
        on_cpu(config, tmp_path / "run")


def test_a_run_that_was_cut_goes_on_in_smaller_parts_with_other_workers(
    videos: Path, plain_losses: list[float], tmp_path: Path
) -> None:
    with pytest.raises(Cut):
        on_cpu(training(videos, data={"workers": 1}), tmp_path, CutAfter(2))
    smaller = training(videos, gradient_accumulation_steps=2, gradient_checkpointing=True, log_every_steps=2)
    assert losses(on_cpu(smaller, tmp_path))[-1] == pytest.approx(sum(plain_losses[2:]) / 2, rel=1e-3)


def test_a_loss_that_is_no_number_ends_the_run(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        on_cpu(training(videos, steps=20, optimizer={"learning_rate": 1e30, "max_grad_norm": 1e30}), tmp_path)


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"base_model": "no/such/model"}, CheckpointError), ({"data": {"source": "/no/such/folder"}}, DatasetError)],
)
def test_what_is_not_there_is_named(videos: Path, tmp_path: Path, changes: dict[str, Any], error: type) -> None:
    with pytest.raises(error, match="no/such"):
        on_cpu(training(videos, **changes), tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_saves_and_stops_on_a_signal(videos: Path, tmp_path: Path, number: signal.Signals) -> None:
    config = training(videos, steps=400, log_every_steps=1, checkpoint_every_steps=1000, data={"workers": 1})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    command = ["-m", "cinemo_core", "train", "config.yaml", "--run=run", "--output=model", "--device=cpu"]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen([sys.executable, *command], cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    events = tmp_path / "run" / "tensorboard"
    wait_until(lambda: events.is_dir() and any(path.stat().st_size > 500 for path in events.iterdir()), 120, "steps")
    # As a terminal does it: to the whole group.
    os.killpg(process.pid, number)
    assert process.wait(60) == 75
    (state,) = (tmp_path / "run" / "states").iterdir()
    step = int(state.name.removeprefix("step-"))
    assert 0 < step < 400
    assert f"asked to stop after step {step} of 400; the same command goes on" in (tmp_path / "log").read_text()
