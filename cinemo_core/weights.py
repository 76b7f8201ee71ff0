"""From a weight file to named tensors, and from named tensors into a network.

Strict, so that a network is whole or refused; sparing, so that files are mapped rather than read; and deaf to whatever
a pickle asks for beyond tensors. Knows nothing of folders and their parts.
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

from cinemo_core.errors import CheckpointError

PICKLES = (".bin", ".pt", ".pth", ".ckpt")
SUFFIXES = (".safetensors", *PICKLES)
ENTRIES = ("ema", "model", "state_dict", "module")
"""Where training code puts the state dict in its file, the best first."""

WRAPPERS = re.compile(r"(?:module\.|_orig_mod\.)*")
"""What data parallelism and compilation put before every name."""

NAMES_TOLD = 3
MOST_COPIES = 2


def read_weights(path: Path) -> dict[str, Tensor]:
    """Map a file's tensors into memory: of a state dict, of one of its `ENTRIES`, or of a safetensors file.

    Raises:
        CheckpointError: there is no such file, it is cut short or corrupt, or it holds anything but tensors.
    """
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"{path} is no weight file; known are {', '.join(SUFFIXES)}")
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
        raise CheckpointError(f"{path} is cut short or corrupt: {error}") from error


def read_pickle(path: Path) -> Any:
    """What a file of `torch.save` holds, by an unpickler that knows tensors and plain containers and calls nothing.

    Raises:
        CheckpointError: the file is corrupt, or asks for anything else.
    """
    try:
        # The format before torch 1.6 is no zip archive and cannot be mapped.
        is_zip = begins_as_archive(path)
        if is_zip:
            check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except CheckpointError:
        raise
    except UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        found = f"it asks for {wanted[1]}" if wanted else "it is corrupt or holds more than tensors"
        raise CheckpointError(f"{path} is refused, since only tensors are ever unpickled: {found}") from error
    except Exception as error:
        # Depending on the byte that is wrong, torch raises almost anything.
        raise CheckpointError(f"{path} is cut short or corrupt: {error!r}") from error


def plain_tensors(path: Path, stored: Any) -> dict[str, Tensor]:
    """The named tensors of what a file holds, found in the best of its `ENTRIES` where it has any.

    Raises:
        CheckpointError: there are none, or others stand among them.
    """
    # As deep as there are entries, for a pickle may contain itself.
    for _ in ENTRIES:
        if isinstance(stored, dict):
            stored = next((stored[entry] for entry in ENTRIES if isinstance(stored.get(entry), dict)), stored)
    if not isinstance(stored, dict) or not stored:
        raise CheckpointError(f"{path} holds no state dict")
    for name, value in stored.items():
        if not isinstance(name, str) or not is_plain(value):
            raise CheckpointError(f"{path} is no state dict: {name!r} is not a dense tensor")
    return stored


def is_plain(value: Any) -> bool:
    """Whether a value is a tensor whose numbers lie in memory one by one."""
    if not isinstance(value, Tensor) or value.layout != torch.strided:
        return False
    return not (value.is_meta or value.is_quantized or value.is_nested)


def begins_as_archive(path: Path) -> bool:
    """Whether torch takes a file for a zip archive: it looks at the first bytes, others at the last."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\3\4"


def check_archive(path: Path) -> None:
    """Raise `CheckpointError` where an archive would unpack to more than it is: packed, or one part by many names."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise CheckpointError(f"{path} is refused: torch packs nothing in its archives, and something in this one is")
    unpacked = sum(member.file_size for member in members)
    if unpacked > size:
        raise CheckpointError(f"{path} is refused: it has {size:,} bytes, and claims to hold {unpacked:,}")


def check_expansion(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` where tensors are larger than what is stored of them, as strides can make them.

    Each has as many numbers as its storage, at most, and all together no more than `MOST_COPIES` of the file: weights
    that are tied to each other are stored once.
    """
    size, wanted = path.stat().st_size, 0
    for name, value in tensors.items():
        needed = value.numel() * value.element_size()
        if needed > value.untyped_storage().nbytes():
            stored = value.untyped_storage().nbytes()
            raise CheckpointError(
                f"{path} is refused: {name} would be {needed:,} bytes, and {stored:,} are stored of it"
            )
        wanted += needed
    if wanted > MOST_COPIES * size:
        raise CheckpointError(f"{path} is refused: its tensors would be {wanted:,} bytes, and the file has {size:,}")


def unwrapped(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the wrappers' prefix, where every name has it."""
    match = WRAPPERS.match(next(iter(weights)))
    prefix = match[0] if match else ""
    if not all(name.startswith(prefix) for name in weights):
        return weights
    return {name.removeprefix(prefix): value for name, value in weights.items()}


def fill(network: nn.Module, weights: dict[str, Tensor], torch_dtype: torch.dtype | None, source: str) -> None:
    """Give a network its weights, and empty `weights` on the way so that no tensor is held twice.

    Args:
        network: of any dtype, on the meta device.
        weights: every name of the network's state dict.
        torch_dtype: what floating-point tensors become; None leaves each as it is.
        source: what an error calls the weights.

    Raises:
        CheckpointError: names or shapes are not the network's.
    """
    check_weights(network.state_dict(), weights, source)
    network.load_state_dict({name: cast(weights.pop(name), torch_dtype) for name in tuple(weights)}, assign=True)


def cast(value: Tensor, torch_dtype: torch.dtype | None) -> Tensor:
    """A contiguous tensor of the dtype, where it holds floating-point numbers."""
    dtype = torch_dtype if torch_dtype is not None and value.is_floating_point() else value.dtype
    return value.detach().to(dtype).contiguous()


def check_weights(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], source: str) -> None:
    """Compare names, shapes and kinds of number; of the values nothing is read, so both may be on the meta device.

    Raises:
        CheckpointError: they differ; the message tells the first few names, and both shapes.
    """
    wrong = [
        f"{name} is {described(found[name])} in place of {described(value)}"
        for name, value in expected.items()
        if name in found and described(found[name]) != described(value)
    ]
    faults = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape": wrong,
    }
    told = [f"{len(names)} {fault} ({first_few(names)})" for fault, names in faults.items() if names]
    if told:
        raise CheckpointError(f"{source} does not fit its configuration: {'; '.join(told)}")


def described(value: Tensor) -> str:
    """A tensor's shape, and its dtype where it holds no floating-point numbers."""
    shape = "x".join(map(str, value.shape)) or "a scalar"
    return shape if value.is_floating_point() else f"{shape} {value.dtype}"


def first_few(names: Collection[str]) -> str:
    """The first names, and that there are more."""
    return ", ".join([*list(names)[:NAMES_TOLD], *(["…"] if len(names) > NAMES_TOLD else [])])
