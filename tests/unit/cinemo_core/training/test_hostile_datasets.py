"""A malformed dataset is rejected with file and line, whatever its bytes claim."""

import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from cinemo_core.training.dataset import list_videos
from cinemo_core.training.errors import DatasetError
from cinemo_core.training.files import FsspecFiles
from tests.datasets import clips, write_folder

DEEP = "[" * 100_000


def listing_of(folder: Path) -> dict[str, str]:
    """The names of broken files, and the reasons."""
    return list_videos(FsspecFiles(str(folder))).broken


@pytest.mark.parametrize(
    "line",
    [
        "5",
        "null",
        "[1]",
        '"text"',
        "true",
        "{}",
        "{",
        DEEP,
        "1" * 5000,
        '{"file_name": null}',
        '{"file_name": ["a.mp4"]}',
        '{"file_name": "a.mp4", "caption": {"text": "waves"}}',
        '{"file_name": "\\ud800.mp4"}',
        '{"file_name": "a.mp4", "caption": "\\udfff"}',
        '{"file_name": "a.mp4", "caption": "' + "x" * 70_000 + '"}',
    ],
    ids=lambda line: line[:30],
)
def test_an_invalid_record_is_named_by_file_and_line(line: str, tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text(f'{{"file_name": "a.mp4"}}\n\n{line}\n')
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"metadata\.jsonl, line 3") as refused:
        listing_of(tmp_path)
    assert refused.value.code == "INPUT.DATASET.INVALID"


@pytest.mark.parametrize("text", ["file_name,caption\na.mp4\n\0,x\n", f"file_name,caption\n{'x' * 200_000},y\n"])
def test_an_invalid_table_is_named_by_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises(DatasetError, match=r"metadata\.csv, line"):
        listing_of(tmp_path)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x80"])
def test_a_manifest_in_an_unsupported_encoding_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_bytes(data)
    with pytest.raises(DatasetError, match=r"metadata\.jsonl"):
        listing_of(tmp_path)


def member(name: str, data: bytes = b"", **changes: object) -> bytes:
    """One member of a tar archive, with `changes` to its header."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    body = data + bytes(-len(data) % 512)
    return info.tobuf(tarfile.GNU_FORMAT) + body


def checksummed(header: bytes) -> bytes:
    """A header with a correct checksum, so that it is read."""
    blank = header[:148] + b" " * 8 + header[156:]
    return blank[:148] + f"{sum(blank):06o}\0 ".encode() + blank[156:]


def sized(header: bytes, size: int) -> bytes:
    """A header that claims a size, possibly negative, in GNU tar's base-256 format."""
    field = b"\x80" + size.to_bytes(11, "big") if size >= 0 else b"\xff" + (256**11 + size).to_bytes(11, "big")
    return checksummed(header[:124] + field + header[136:])


VIDEO = clips()["000000"][0]
END = bytes(1024)
LINK = {"type": tarfile.SYMTYPE}
HARD = {"type": tarfile.LNKTYPE}
SHARDS = {
    "links that lead to each other": member("a.txt", linkname="b.txt", **LINK)
    + member("b.txt", linkname="a.txt", **LINK),
    "a link to itself": member("a.txt", linkname="a.txt", **HARD),
    "a link to nothing": member("a.json", linkname="gone", **HARD),
    "a link to a secret": member("a.mp4", linkname="/etc/passwd", **LINK),
    "a device": member("a.mp4", type=tarfile.CHRTYPE),
    "a text of a terabyte": sized(member("a.txt"), 2**40),
    "a video of a terabyte": sized(member("a.mp4"), 2**40),
    "a text of more than a number holds": sized(member("a.txt"), 2**70),
    "a text of less than nothing": sized(member("a.txt"), -1024),
    "a video of less than nothing": sized(member("a.mp4"), -512),
    "a name of a terabyte": sized(member("././@LongLink", type=tarfile.GNUTYPE_LONGNAME), 2**40),
    "a name of less than nothing": sized(member("././@LongLink", type=tarfile.GNUTYPE_LONGNAME), -1024),
    "a header of a terabyte": sized(member("pax", type=tarfile.XHDTYPE), 2**40),
    "a header that says so": member("pax", b"20 size=-1000000000\n", type=tarfile.XHDTYPE) + member("a.mp4", b"x"),
    "noise": b"\xff" * tarfile.BLOCKSIZE,
    "a text too long": member("a.txt", b"x" * 70_000),
}


@pytest.mark.parametrize("kind", SHARDS)
def test_an_archive_member_with_an_invalid_size_or_link_is_named_and_the_rest_read(kind: str, tmp_path: Path) -> None:
    (tmp_path / "good.tar").write_bytes(member("v.mp4", VIDEO) + member("v.txt", b"waves") + END)
    (tmp_path / "evil.tar").write_bytes(member("v.mp4", VIDEO) + SHARDS[kind] + END)
    began = time.monotonic()
    found = list_videos(FsspecFiles(str(tmp_path)))
    assert time.monotonic() - began < 20
    assert [name for name in found.broken if name.startswith("evil.tar")], found.broken
    assert [(video.name, video.caption) for video in found.videos if video.file == "good.tar"] == [
        ("good.tar/v", "waves")
    ]


def test_nested_archives_are_no_videos_and_names_of_any_bytes_are_accepted(tmp_path: Path) -> None:
    nested = member("w.mp4", VIDEO) + END
    odd = checksummed(member("xx.mp4", VIDEO)[:512].replace(b"xx", b"\xff\xfe"))
    data = member("inner.tar", nested) + odd + VIDEO + bytes(-len(VIDEO) % 512) + END
    (tmp_path / "a.tar").write_bytes(data)
    names = [video.name for video in list_videos(FsspecFiles(str(tmp_path))).videos]
    assert names == ["a.tar/\ufffd\ufffd"]


def test_a_compressed_archive_is_not_a_shard(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = 10_000_000
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    (tmp_path / "a.tar").write_bytes(buffer.getvalue())
    with pytest.raises(DatasetError):
        listing_of(tmp_path)


def test_links_pipes_and_long_captions_in_a_folder_are_named_without_waiting(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "000001.txt").write_bytes(b"x" * 70_000)
    (tmp_path / "000002.txt").unlink()
    (tmp_path / "000002.txt").symlink_to("000002.txt")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    began = time.monotonic()
    found = list_videos(FsspecFiles(str(tmp_path)))
    assert time.monotonic() - began < 10
    assert set(found.broken) <= {"000001.mp4", "000002.mp4"}
    assert "000001.mp4" in found.broken
    assert not {"pipe.mp4", "folder.mp4"} & {video.name for video in found.videos}
