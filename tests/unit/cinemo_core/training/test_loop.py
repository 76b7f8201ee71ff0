"""Whole training runs at toy size: they learn, and the published model animates."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from cinemo_core import CheckpointError, CinemoPipeline
from cinemo_core.checkpoint import BUILT_IN, revision
from cinemo_core.training.commands import Console
from cinemo_core.training.errors import (
    DatasetError,
    TrainingDiverged,
)
from cinemo_core.training.publish import publish
from cinemo_core.training.state import newest_state
from cinemo_core.training.tensorboard import TensorBoard
from cinemo_spec.card import Base
from cinemo_spec.training import TrainConfig
from tests.adapters import random_adapter
from tests.datasets import training
from tests.forked import Process, completed
from tests.processes import wait_until
from tests.unit.cinemo_core.training.runs import Listener, losses, on_cpu, weights

DIVERGING = {"learning_rate": 1e30, "max_grad_norm": 1e30}


def training_of(config: TrainConfig, folder: Path, run: str) -> list[str]:
    """Command line arguments that train with a configuration, in a folder."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return ["train", str(path), f"--run={folder / run}", f"--output={folder / 'model'}"]


def test_the_loss_falls_when_overfitting_one_clip(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=15, batch_size=4, log_every_steps=5, optimizer={"learning_rate": 5e-4})
    first, _, last = losses(on_cpu(config, tmp_path))
    assert last < 0.9 * first


def test_gradient_accumulation_gives_the_same_step(videos: Path, tmp_path: Path) -> None:
    whole, parts = Listener(), Listener()
    config = training(videos, steps=2, batch_size=4)
    on_cpu(config, tmp_path / "whole", whole)
    on_cpu(config.model_copy(update={"gradient_accumulation_steps": 4}), tmp_path / "parts", parts)
    for one, other in zip(whole.reports, parts.reports, strict=True):
        assert other.loss == pytest.approx(one.loss, rel=1e-3)
        # Adam, which is blind to the gradient's scale, would hide a wrong one from the loss.
        assert other.grad_norm == pytest.approx(one.grad_norm, rel=1e-2)


def test_two_processes_equal_one_with_twice_the_batch(videos: Path, tmp_path: Path) -> None:
    config = training(videos, batch_size=4, optimizer={"learning_rate": 1e-4})
    one = on_cpu(config, tmp_path / "one")
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2", "--num_machines=1"]
    settings = ["--mixed_precision=no", "--dynamo_backend=no", "--num_cpu_threads_per_process=1"]
    module = ["--module", "tests.unit.cinemo_core.training.by_two"]
    # Without GPUs, like the processes of this test alone.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, *launch, *settings, *module, *training_of(config, tmp_path, "two")]
    done = completed(command, environment)
    assert done.returncode == 0, done.stderr
    published = json.loads((tmp_path / "model" / "training.json").read_text())
    assert [each["loss"] for each in published["loss_curve"]] == pytest.approx(losses(one), rel=1e-3)
    trained = load_file(tmp_path / "two" / "states" / "step-00000004" / "weights.safetensors")
    difference = max((trained[name] - value).abs().max() for name, value in weights(one).items())
    assert difference < 2e-4


def test_gradient_checkpointing_changes_only_the_memory(
    videos: Path, plain_losses: list[float], tmp_path: Path
) -> None:
    run = on_cpu(training(videos, gradient_checkpointing=True), tmp_path)
    assert losses(run) == pytest.approx(plain_losses, rel=1e-4)


def test_cached_latents_equal_computed_ones(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=8, data={"cache_latents": True, "variants": 1, "min_interval": 1})
    computed = on_cpu(config, tmp_path / "run")
    assert len(list((tmp_path / "run" / "latents").iterdir())) == 12, "of as many videos, in the first six steps"
    (tmp_path / "other").mkdir()
    (tmp_path / "run" / "latents").rename(tmp_path / "other" / "latents")
    cached = on_cpu(config, tmp_path / "other")
    assert losses(computed) == losses(cached)


def test_an_adapter_is_published_alone_with_its_base_on_the_card(videos: Path, tmp_path: Path) -> None:
    run = on_cpu(training(videos, lora={"rank": 4, "alpha": 8}, ema_decay=0), tmp_path / "run")
    names = list(run.model.trained())
    assert names
    assert all(".lora_" in name and ".attn" in name for name in names)
    trained = {name: value.detach().clone() for name, value in run.model.networks.unet.state_dict().items()}
    made = publish(run, tmp_path / "adapter")
    assert not (tmp_path / "adapter" / "unet").exists()
    pipe = CinemoPipeline.from_pretrained(tmp_path / "adapter")
    assert pipe.revision == made
    assert pipe.card.base == Base("tiny", revision(BUILT_IN["tiny"]))
    assert (pipe.card.width, pipe.card.name) == (run.config.data.width, run.config.name)
    name = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    down, up = (trained[f"{name}.lora_{factor}.default.weight"] for factor in "AB")
    expected = trained[f"{name}.base_layer.weight"] + 8 / 4 * up @ down
    torch.testing.assert_close(pipe.unet.get_parameter(f"{name}.weight"), expected)
    assert up.any()


@pytest.mark.parametrize("lora", [{"rank": 2}, None], ids=["lora", "all weights"])
def test_an_adapter_can_be_a_base_model(videos: Path, tmp_path: Path, lora: dict[str, int] | None) -> None:
    first = random_adapter(tmp_path / "first")
    steps = {"steps": 2, "optimizer": {"learning_rate": 1e-9}, "ema_decay": 0}
    run = on_cpu(training(videos, base_model=str(first), lora=lora, **steps), tmp_path / "run")
    publish(run, tmp_path / "model")
    pipe, base = (CinemoPipeline.from_pretrained(folder) for folder in (tmp_path / "model", first))
    assert pipe.card.base == (base.card.base if lora else None)
    assert not (lora and (tmp_path / "model" / "unet").exists())
    weights = base.unet.state_dict()
    # A full model is published in float16.
    assert all(torch.allclose(value, weights[name], atol=2e-3) for name, value in pipe.unet.state_dict().items())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_runs_in_lower_precision_learn_too(
    videos: Path, plain_losses: list[float], tmp_path: Path, precision: str
) -> None:
    run = on_cpu(training(videos, precision=precision), tmp_path)
    assert losses(run) == pytest.approx(plain_losses, rel=0.1)
    trained, base = weights(run), load_file(BUILT_IN["tiny"] / "unet" / "diffusion_pytorch_model.safetensors")
    assert all(value.dtype == torch.float32 for value in trained.values())
    moved = torch.stack([(value - base[name.removeprefix("unet.")]).abs().mean() for name, value in trained.items()])
    assert 0.5 * 1e-3 < moved.mean() < 4 * 1e-3, "of up to 1e-3 in each of four steps"


def test_the_published_model_is_the_average_and_its_card_states_its_origin(videos: Path, tmp_path: Path) -> None:
    run = on_cpu(training(videos, train_text_encoder=True), tmp_path / "run")
    average = dict(zip(run.model.trained(), [each.clone() for each in run.model.average.shadow_params], strict=True))
    revision = publish(run, tmp_path / "model")
    made = load_file(tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors")
    trained = {name.removeprefix("unet."): value.half() for name, value in average.items() if name.startswith("unet.")}
    assert len(trained) > 100
    assert all(torch.equal(value, made[name]) for name, value in trained.items())
    pipe = CinemoPipeline.from_pretrained(tmp_path / "model")
    assert pipe.revision == revision
    assert pipe.card.motion_scale.strong_score == run.config.data.strong_score == 0.4
    assert (pipe.card.name, pipe.card.width, pipe.card.height) == ("toy", 48, 32)
    assert pipe(Image.new("RGB", (60, 40), "teal"), "pan left", num_inference_steps=2, detail="off").shape == (
        16,
        32,
        48,
        3,
    )
    origin = json.loads((tmp_path / "model" / "training.json").read_text())
    assert TrainConfig.model_validate(origin["config"]) == run.config
    assert origin["base_model"] == {"name": "tiny", "revision": CinemoPipeline.from_pretrained("tiny").revision}
    assert origin["data"]["digest"] == run.clips.listing.digest
    assert (origin["data"]["captioned"], origin["data"]["videos"]) == (12, 12)
    assert "12 of 12 videos captioned" in (tmp_path / "model" / "README.md").read_text()
    assert [each["step"] for each in origin["loss_curve"]] == [1, 2, 3, 4]
    assert revision in (tmp_path / "model" / "README.md").read_text()


def test_a_loss_that_is_not_finite_ends_the_run(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"the loss is .* lower the learning rate"):
        on_cpu(training(videos, steps=20, optimizer=DIVERGING), tmp_path)


def test_weights_that_are_not_finite_are_not_saved(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=20, log_every_steps=20, checkpoint_every_steps=1, optimizer=DIVERGING)
    with pytest.raises(TrainingDiverged, match="not finite at step"):
        on_cpu(config, tmp_path)
    saved = newest_state(tmp_path / "states")
    assert saved
    assert all(value.isfinite().all() for value in load_file(saved.folder / "weights.safetensors").values())


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"base_model": "no/such/model"}, CheckpointError), ({"data": {"source": "/no/such/folder"}}, DatasetError)],
)
def test_a_missing_file_is_named(videos: Path, tmp_path: Path, changes: dict[str, Any], error: type) -> None:
    with pytest.raises(error, match="no/such"):
        on_cpu(training(videos, **changes), tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_saves_on_the_first_signal_and_stops_on_the_second(tmp_path: Path, number: signal.Signals) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        console = Console(tmp_path, TensorBoard(tmp_path))
        assert console.on_step(1)
        signal.raise_signal(number)
        assert not console.on_step(2)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_the_command_stops_after_saving_on_a_signal(videos: Path, tmp_path: Path) -> None:
    config = training(videos, steps=400, log_every_steps=1, checkpoint_every_steps=1000, data={"workers": 1})
    command = [sys.executable, "-m", "cinemo_core", *training_of(config, tmp_path, "run"), "--device=cpu"]
    with (tmp_path / "log").open("wb") as log:
        process = Process(command, stdout=log, stderr=log, start_new_session=True)
    wait_until(lambda: "clips/s" in (tmp_path / "log").read_text(), 120, "steps")
    # As a terminal does it: to the whole group.
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 75
    (state,) = (tmp_path / "run" / "states").iterdir()
    step = int(state.name.removeprefix("step-"))
    assert 0 < step < 400
    assert (
        f"asked to stop after step {step} of 400; run the same command again to resume"
        in (tmp_path / "log").read_text()
    )
