"""Finds the files of a part's weights: a single file or indexed shards, plain or of a variant such as `fp16`.

File names are those of diffusers and transformers. Does not look into the weights.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from cinemo_spec.errors import CheckpointError

STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
SUFFIXES = (".safetensors", ".bin")
KINDS = tuple((stem, suffix) for suffix in SUFFIXES for stem in STEMS)
"""File names of weights, in order of preference."""
VARIANT = r"(?:(?!-\d{5}-of-)[A-Za-z0-9_-])+"
OF_VARIANT = re.compile(
    rf"(?:{'|'.join(STEMS)})(?:\.(?P<whole>{VARIANT})\.(?:safetensors|bin)"
    rf"|\.(?:safetensors|bin)\.index\.(?P<sharded>{VARIANT})\.json)"
)
SHARDS = "-?????-of-?????"


def weight_files(folder: Path, variant: str | None = None) -> tuple[Path, ...]:
    """The weight files in a part's folder: of the variant if it has it, else the plain ones, else the only variant.

    Raises:
        CheckpointError: there is no folder or no weights, or an index cannot be read or its shards are missing.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder.name} is missing: there is no {folder}")
    others = variants(folder)
    wanted = (variant, None) if variant else (None, *(others if len(others) == 1 else ()))
    found = next(filter(None, (of_variant(folder, each) for each in wanted)), None)
    if found:
        return found
    if others:
        raise CheckpointError(f"{folder.name} has only variants of its weights: choose one of {', '.join(others)}")
    names = ", ".join(stem + suffix for stem, suffix in KINDS)
    raise CheckpointError(f"{folder.name} has no weights: {folder} has none of {names}")


def variants(folder: Path) -> tuple[str, ...]:
    """Variants with weights in a folder."""
    matches = (OF_VARIANT.fullmatch(path.name) for path in folder.glob("*"))
    return tuple(sorted({match["whole"] or match["sharded"] for match in matches if match}))


def of_variant(folder: Path, variant: str | None) -> tuple[Path, ...] | None:
    """The files of a variant, or the plain ones; None if there are none.

    Raises:
        CheckpointError: an index cannot be read or its shards are missing, and there are no other weights.
    """
    fault: CheckpointError | None = None
    for stem, suffix in KINDS:
        index = folder / (f"{stem}{suffix}.index.{variant}.json" if variant else f"{stem}{suffix}.index.json")
        whole = folder / (f"{stem}.{variant}{suffix}" if variant else stem + suffix)
        if index.is_file():
            try:
                return shards_of(index)
            except CheckpointError as error:
                # The index may be left over from before the weights were saved as one file.
                fault = error
        if whole.is_file():
            return (whole,)
    if fault:
        raise fault
    return None


def shards_of(index: Path) -> tuple[Path, ...]:
    """The shards listed in an index, which are in the same folder.

    Raises:
        CheckpointError: not an index, or a shard is elsewhere or missing.
    """
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{index} is not an index of weights: {error!r}") from error
    if not names or not all(isinstance(name, str) and name == Path(name).name for name in names):
        raise CheckpointError(f"{index} lists something other than files in its folder")
    missing = sorted(name for name in names if not (index.parent / name).is_file())
    if missing:
        raise CheckpointError(f"{index.parent.name} lacks weights that {index.name} lists: {', '.join(missing)}")
    return tuple(index.parent / name for name in sorted(names))


def patterns(folder: str, variant: str | None) -> Iterator[str]:
    """`fnmatch` patterns for the weights in a folder of a hub repository, plain and of a variant."""
    for stem, suffix in KINDS:
        yield from (f"{folder}/{stem}{part}{suffix}" for part in ("", SHARDS))
        yield f"{folder}/{stem}{suffix}.index.json"
        if variant:
            yield from (f"{folder}/{stem}{part}{suffix}" for part in (f".{variant}", f"{SHARDS}.{variant}"))
            yield from (f"{folder}/{stem}.{variant}{SHARDS}{suffix}", f"{folder}/{stem}{suffix}.index.{variant}.json")
