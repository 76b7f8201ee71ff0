"""A weight file that would expand far beyond its size is rejected before memory is allocated."""

import io
import json
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cinemo_core.weights import read_weights
from cinemo_spec.errors import CheckpointError
from tests.systems import need_linux

SIDE = 20_000
MEBIBYTE = 1024 * 1024


def saved(tensors: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors, buffer, **options)
    return buffer.getvalue()


def safetensors(header: dict[str, object], data: bytes, length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def repacked(data: bytes, **changes: int) -> bytes:
    """A torch archive with compressed members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    return buffer.getvalue()


def overlapping(data: bytes) -> bytes:
    """A torch archive whose index lists its largest member a hundred times."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start, members = archive.start_dir, archive.infolist()
    index = data[start : data.index(b"PK\6\6", start)]
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 100 * len(members), 100 * len(members), 100 * len(index), start, 0)
    return data[:start] + 100 * index + end


ONE = torch.zeros(1)
FEW = torch.zeros(2 * SIDE)
EXPANDING: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a number for all": (".bin", lambda: saved({"a": ONE.expand(SIDE, SIDE)})),
    "a number for all, in the old format": (
        ".pt",
        lambda: saved({"a": ONE.expand(SIDE, SIDE)}, _use_new_zipfile_serialization=False),
    ),
    "rows over rows": (".bin", lambda: saved({"a": FEW.as_strided((SIDE, SIDE), (1, 1))})),
    "one storage for many": (".bin", lambda: saved({f"a{n}": FEW[:SIDE] for n in range(2000)})),
    "in an entry": (".ckpt", lambda: saved({"state_dict": {"a": ONE.expand(SIDE, SIDE)}})),
    "packed zeros": (".bin", lambda: repacked(saved({"a": torch.zeros(100 * MEBIBYTE // 4)}))),
    "many names for the same bytes": (".bin", lambda: overlapping(saved({"a": FEW}))),
    "a header that claims too much": (
        ".safetensors",
        lambda: safetensors({"a": {"dtype": "F32", "shape": [SIDE, SIDE], "data_offsets": [0, 4]}}, bytes(4)),
    ),
    "offsets behind the end": (
        ".safetensors",
        lambda: safetensors({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}, bytes(4)),
    ),
    "the same bytes twice": (
        ".safetensors",
        lambda: safetensors({n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"}, bytes(4)),
    ),
    "a shape beyond numbers": (
        ".safetensors",
        lambda: safetensors({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 0]}}, b""),
    ),
    "a header without an end": (".safetensors", lambda: safetensors({}, b"", length=2**62)),
}


@pytest.mark.parametrize("kind", EXPANDING)
def test_weights_larger_than_their_file_are_rejected(kind: str, tmp_path: Path) -> None:
    need_linux("counts the most memory held in KiB")
    suffix, make = EXPANDING[kind]
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(make())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError):
        read_weights(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024, "in KiB"


def test_tied_weights_and_views_are_read(tmp_path: Path) -> None:
    table = torch.randn(100, 8)
    path = tmp_path / "tied.bin"
    path.write_bytes(saved({"embedding": table, "head": table, "first": table[:1], "turned": table.T}))
    assert torch.equal(read_weights(path)["turned"], table.T)
