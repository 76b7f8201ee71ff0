"""Reads named tensors from a weight file, and loads them into a network.

Incomplete networks are rejected, files are memory-mapped, and pickles can contain nothing but tensors.
Knows nothing of folders and their parts.
"""

import re
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cinemo_spec.errors import CheckpointError

PICKLES = (".bin", ".pt", ".pth", ".ckpt")
SUFFIXES = (".safetensors", *PICKLES)
ENTRIES = ("ema", "model", "state_dict", "module")
"""Keys under which training code saves the state dict, in order of preference."""

WRAPPERS = re.compile(r"(?:module\.|_orig_mod\.)*")
"""Prefixes that data parallelism and compilation add to every name."""

MAX_NAMES_SHOWN = 3
MAX_COPIES = 2


def read_weights(path: Path) -> dict[str, Tensor]:
    """Memory-map the tensors of a safetensors file, or of a pickled state dict or one of its `ENTRIES`.

    Raises:
        CheckpointError: the file is missing, truncated or corrupt, or contains anything but tensors.
    """
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"{path} is not a weight file; supported suffixes are {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist")
    stored = read_pickle(path) if path.suffix in PICKLES else read_safetensors(path)
    tensors = plain_tensors(path, stored)
    check_expansion(path, tensors)
    return unwrapped(tensors)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        CheckpointError: the file cannot be read as such.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is truncated or corrupt: {error}") from error


def read_pickle(path: Path) -> Any:
    """Load a file of `torch.save` with an unpickler that knows only tensors and plain containers.

    Raises:
        CheckpointError: the file is corrupt, or contains anything else.
    """
    try:
        # The format before torch 1.6 is not a zip archive and cannot be memory-mapped.
        is_zip = begins_as_archive(path)
        if is_zip:
            check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except CheckpointError:
        raise
    except UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        found = f"it asks for {wanted[1]}" if wanted else "it is corrupt or contains more than tensors"
        raise CheckpointError(f"{path} is rejected because only tensors are ever unpickled: {found}") from error
    except Exception as error:
        # Depending on what is corrupt, torch raises almost anything.
        raise CheckpointError(f"{path} is truncated or corrupt: {error!r}") from error


def plain_tensors(path: Path, stored: Any) -> dict[str, Tensor]:
    """The named tensors in a file's contents, or in the first of `ENTRIES` that it has.

    Raises:
        CheckpointError: there are none, or not all values are dense tensors.
    """
    # Bounded, because a pickle may contain itself.
    for _ in ENTRIES:
        if isinstance(stored, dict):
            stored = next((stored[entry] for entry in ENTRIES if isinstance(stored.get(entry), dict)), stored)
    if not isinstance(stored, dict) or not stored:
        raise CheckpointError(f"{path} contains no state dict")
    for name, value in stored.items():
        if not isinstance(name, str) or not is_plain(value):
            raise CheckpointError(f"{path} is not a state dict: {name!r} is not a dense tensor")
    return stored


def is_plain(value: Any) -> bool:
    """Whether a value is a dense tensor with data."""
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return False
    return not (value.is_meta or value.is_quantized or value.is_nested)


def begins_as_archive(path: Path) -> bool:
    """Whether torch treats a file as a zip archive: it looks at the first bytes, other programs at the last."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\3\4"


def check_archive(path: Path) -> None:
    """Raise `CheckpointError` if an archive expands beyond its size, by compression or overlapping entries."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise CheckpointError(f"{path} is rejected: torch never compresses its archives, but this one is compressed")
    unpacked = sum(member.file_size for member in members)
    if unpacked > size:
        raise CheckpointError(f"{path} is rejected: it has {size:,} bytes, but claims to contain {unpacked:,}")


def check_expansion(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` if tensors are larger than their storage, as strides allow.

    No tensor may have more elements than its storage, and all together may be at most `MAX_COPIES` times the file:
    tied weights are stored once.
    """
    size, wanted = path.stat().st_size, 0
    for name, value in tensors.items():
        needed = value.numel() * value.element_size()
        if needed > value.untyped_storage().nbytes():
            stored = value.untyped_storage().nbytes()
            raise CheckpointError(
                f"{path} is rejected: {name} would take {needed:,} bytes, but only {stored:,} are stored"
            )
        wanted += needed
    if wanted > MAX_COPIES * size:
        raise CheckpointError(f"{path} is rejected: its tensors would take {wanted:,} bytes, but the file has {size:,}")


def unwrapped(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without a wrapper's prefix, if every name has it."""
    match = WRAPPERS.match(next(iter(weights)))
    prefix = match[0] if match else ""
    if not all(name.startswith(prefix) for name in weights):
        return weights
    return {name.removeprefix(prefix): value for name, value in weights.items()}


def fill(network: nn.Module, weights: dict[str, Tensor], torch_dtype: torch.dtype | None, source: str) -> None:
    """Load weights into a network, emptying `weights` so that no tensor is held twice.

    Args:
        network: of any dtype, on the meta device.
        weights: every name of the network's state dict.
        torch_dtype: of floating-point tensors; None keeps each as it is.
        source: name of the weights in error messages.

    Raises:
        CheckpointError: names or shapes differ from the network's.
    """
    check_weights(network.state_dict(), weights, source)
    network.load_state_dict({name: cast(weights.pop(name), torch_dtype) for name in tuple(weights)}, assign=True)


def cast(value: Tensor, torch_dtype: torch.dtype | None) -> Tensor:
    """A contiguous tensor, cast to the dtype if it is floating-point."""
    dtype = torch_dtype if torch_dtype is not None and value.is_floating_point() else value.dtype
    return value.detach().to(dtype).contiguous()


def check_weights(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], source: str) -> None:
    """Compare names, shapes and kinds of dtype; reads no values, so both may be on the meta device.

    Raises:
        CheckpointError: they differ; the message names the first few, with both shapes.
    """
    wrong = [
        f"{name} is {described(found[name])} instead of {described(value)}"
        for name, value in expected.items()
        if name in found and described(found[name]) != described(value)
    ]
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape": wrong,
    }
    differences = [f"{len(names)} {fault} ({first_few(names)})" for fault, names in faults.items() if names]
    if differences:
        raise CheckpointError(f"{source} does not fit its configuration: {'; '.join(differences)}")


def described(value: Tensor) -> str:
    """A tensor's shape, and its dtype if it is not floating-point."""
    shape = "x".join(map(str, value.shape)) or "a scalar"
    return shape if value.is_floating_point() else f"{shape} {value.dtype}"


def first_few(names: Collection[str]) -> str:
    """The first few names, with an ellipsis if there are more."""
    return ", ".join([*list(names)[:MAX_NAMES_SHOWN], *(["…"] if len(names) > MAX_NAMES_SHOWN else [])])
