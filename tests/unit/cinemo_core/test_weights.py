"""Weight files: memory-mapped, complete or rejected, and never executed."""

import argparse
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cinemo_core import CheckpointError
from cinemo_core.weights import check_weights, fill, read_weights
from tests.goldens import manifest
from tests.unit.cinemo_core.trap import Trap


def state_dict() -> dict[str, Tensor]:
    return {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.ones(2)}


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def legacy_save(content: Any, path: Path) -> None:
    """The format before torch 1.6, which is no zip archive."""
    torch.save(content, path, _use_new_zipfile_serialization=False)


def plain_pickle(content: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".pth", ".ckpt"])
@pytest.mark.parametrize("save", [torch.save, legacy_save])
def test_a_pickled_state_dict_is_read(tmp_path: Path, suffix: str, save: Callable[[Any, Path], None]) -> None:
    path = tmp_path / f"weights{suffix}"
    save(state_dict(), path)
    assert same(read_weights(path), state_dict())


def test_a_safetensors_file_is_read(tmp_path: Path) -> None:
    save_file(state_dict(), tmp_path / "weights.safetensors")
    assert same(read_weights(tmp_path / "weights.safetensors"), state_dict())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda best, other: {"ema": best, "model": other, "opt": {"step": 3}, "steps": 7},
        lambda best, other: {"epoch": 1, "state_dict": other, "model": best},
        lambda best, other: {"module": other, "state_dict": best},
        lambda best, other: {"module": best},
        lambda best, other: {"ema": {"module": best}, "model": other},
    ],
)
def test_of_several_state_dicts_the_best_is_used(tmp_path: Path, wrap: Callable[..., dict[str, Any]]) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(wrap(state_dict(), {"other": torch.zeros(1)}), path)
    assert same(read_weights(path), state_dict())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_a_prefix_common_to_all_names_is_dropped(tmp_path: Path, prefix: str) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": {prefix + name: value for name, value in state_dict().items()}}, path)
    assert same(read_weights(path), state_dict())


def test_a_prefix_of_only_some_names_is_kept(tmp_path: Path) -> None:
    mixed = {"module.weight": torch.ones(1), "weight": torch.ones(1)}
    torch.save(mixed, tmp_path / "checkpoint.pt")
    assert same(read_weights(tmp_path / "checkpoint.pt"), mixed)


@pytest.mark.parametrize("save", [torch.save, legacy_save, plain_pickle])
@pytest.mark.parametrize("entry", ["alone", "among tensors"])
def test_a_pickle_with_anything_but_tensors_is_rejected_without_running_it(
    tmp_path: Path, save: Callable[[Any, Path], None], entry: str
) -> None:
    path, marker = tmp_path / "weights.bin", tmp_path / "obeyed"
    trap = Trap(marker)
    save(trap if entry == "alone" else {**state_dict(), "trap": trap}, path)
    with pytest.raises(CheckpointError, match="rejected") as caught:
        read_weights(path)
    assert str(path) in str(caught.value)
    assert not marker.exists()


def test_the_tests_trap_triggers_when_a_pickle_is_run(tmp_path: Path) -> None:
    marker = tmp_path / "obeyed"
    pickle.loads(pickle.dumps(Trap(marker))).close()
    assert marker.exists()


def test_an_environment_variable_cannot_allow_all_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save(Trap(tmp_path / "obeyed"), tmp_path / "weights.bin")
    with pytest.raises(CheckpointError, match="rejected"):
        read_weights(tmp_path / "weights.bin")
    assert not (tmp_path / "obeyed").exists()


def test_a_rejection_names_the_forbidden_global_without_advising_to_allow_it(tmp_path: Path) -> None:
    torch.save({"model": state_dict(), "args": argparse.Namespace(width=3)}, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=r"argparse\.Namespace") as caught:
        read_weights(tmp_path / "checkpoint.pt")
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("save", [torch.save, legacy_save, save_file])
@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, save: Callable[[Any, Path], None], share: float) -> None:
    path = tmp_path / f"weights{'.safetensors' if save is save_file else '.bin'}"
    save({"weight": torch.rand(500)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=path.name):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
@pytest.mark.parametrize(
    "content", [b"hello world" * 100, b"version https://git-lfs.github.com/spec/v1\n", b"\x00" * 64, b"PK\x03\x04junk"]
)
def test_a_file_of_another_type_is_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=path.name):
        read_weights(path)


@pytest.mark.parametrize(
    "content",
    [
        {},
        [torch.ones(1)],
        torch.ones(1),
        {"weight": 3.0},
        {"weight": torch.ones(1), "steps": 3},
        {3: torch.ones(1)},
        {"weight": torch.eye(2).to_sparse()},
        {"weight": torch.ones(1, device="meta")},
    ],
    ids=str,
)
def test_a_file_without_a_state_dict_is_rejected(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="state dict"):
        read_weights(tmp_path / "weights.pt")


def test_a_file_with_a_cycle_is_rejected(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content["model"] = content
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="state dict"):
        read_weights(tmp_path / "weights.pt")


@pytest.mark.parametrize("name", ["weights.txt", "weights", "nowhere.bin"])
def test_a_path_that_is_not_a_weight_file_is_rejected(tmp_path: Path, name: str) -> None:
    (tmp_path / "weights.txt").touch()
    (tmp_path / "weights").touch()
    with pytest.raises(CheckpointError, match=name):
        read_weights(tmp_path / name)


def test_the_released_names_and_shapes_pass_and_every_difference_is_reported_with_both_shapes() -> None:
    official = {name: torch.empty(shape, device="meta") for name, shape in manifest("official").items()}
    check_weights(official, dict(official), "unet")
    other = {**official, "conv_in.weight": torch.empty(320, 9, 3, 3, device="meta"), "extra": torch.empty(1)}
    del other["conv_out.bias"]
    with pytest.raises(CheckpointError) as caught:
        check_weights(official, other, "unet (file)")
    for reported in ("unet (file)", "1 missing (conv_out.bias)", "1 unexpected (extra)", "320x9x3x3", "320x4x3x3"):
        assert reported in str(caught.value)


def test_only_the_first_few_of_many_names_are_listed() -> None:
    names = {f"layer{index}": torch.ones(1) for index in range(9)}
    with pytest.raises(CheckpointError, match=r"9 missing \(layer0, layer1, layer2, …\)"):
        check_weights(names, {}, "unet")


def test_integers_in_place_of_weights_are_reported() -> None:
    with pytest.raises(CheckpointError, match=r"weight is 2 torch\.int64 instead of 2"):
        check_weights({"weight": torch.ones(2)}, {"weight": torch.ones(2, dtype=torch.int64)}, "unet")


@pytest.mark.parametrize(("torch_dtype", "expected"), [(None, torch.bfloat16), (torch.float16, torch.float16)])
def test_weights_are_loaded_in_the_requested_dtype_without_a_second_copy(
    torch_dtype: torch.dtype | None, expected: torch.dtype
) -> None:
    with torch.device("meta"):
        layer = nn.Linear(3, 2)
    weights = {"weight": torch.rand(2, 3).bfloat16(), "bias": torch.rand(2).bfloat16()}
    fill(layer, weights, torch_dtype, "layer")
    assert {value.dtype for value in layer.parameters()} == {expected}
    assert not weights
