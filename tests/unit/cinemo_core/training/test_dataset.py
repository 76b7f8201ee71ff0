"""A dataset's videos and captions are found in three layouts, without reading the videos."""

import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cinemo_core.training.dataset import list_videos
from cinemo_core.training.errors import DatasetError
from cinemo_core.training.files import FsspecFiles
from tests.datasets import clips, shard, write_folder


@dataclass
class CountingFiles:
    """A folder that counts the bytes read from it."""

    inner: FsspecFiles
    read_bytes: list[int] = field(default_factory=list)

    def sizes(self) -> dict[str, int]:
        return self.inner.sizes()

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        data = self.inner.read(name, start, length)
        self.read_bytes.append(len(data))
        return data


def files(folder: Path) -> FsspecFiles:
    return FsspecFiles(str(folder))


def test_captions_of_a_folder_of_videos_are_beside_them(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "000003.txt").unlink()
    (tmp_path / "notes.md").write_text("no video")
    listing = list_videos(files(tmp_path))
    assert [video.name for video in listing.videos] == [f"{name}.mp4" for name in sorted(clips())]
    captions = {video.name: video.caption for video in listing.videos}
    assert captions["000003.mp4"] == ""
    assert captions["000004.mp4"] == clips()["000004"][1]
    assert listing.videos[4].read(files(tmp_path)) == clips()["000004"][0]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_manifest_lists_the_videos(tmp_path: Path, kind: str) -> None:
    write_folder(tmp_path / "videos")
    if kind == "jsonl":
        rows = [{"file_name": "videos/000001.mp4", "caption": "wäves"}, {"file_name": "videos/gone.mp4", "caption": ""}]
        text = "\n".join(json.dumps(row) for row in rows)
    else:
        text = 'file_name,caption\nvideos/000001.mp4,"wäves"\nvideos/gone.mp4,\n'
    (tmp_path / f"metadata.{kind}").write_text(text, encoding="utf-8")
    listing = list_videos(files(tmp_path))
    assert [(video.name, video.caption) for video in listing.videos] == [("videos/000001.mp4", "wäves")]
    assert list(listing.broken) == ["videos/gone.mp4"]


def test_shards_are_indexed_by_reading_only_their_headers(tmp_path: Path) -> None:
    big = bytes(1_000_000)
    for number in range(3):
        with tarfile.open(tmp_path / f"{number}.tar", "w") as archive:
            for name, data in ((f"{number}.mp4", big), (f"{number}.json", b'{"caption": "it sways"}')):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    counting = CountingFiles(files(tmp_path))
    listing = list_videos(counting)
    assert [video.caption for video in listing.videos] == ["it sways"] * 3
    assert sum(counting.read_bytes) < 0.3 * 3 * len(big)


def test_a_shards_members_are_read_by_byte_range(tmp_path: Path) -> None:
    (tmp_path / "clips-00000.tar").write_bytes(shard())
    listing = list_videos(files(tmp_path))
    found = {video.name: (video.read(files(tmp_path)), video.caption) for video in listing.videos}
    assert found == {f"clips-00000.tar/{name}": clip for name, clip in clips().items()}


def test_a_truncated_shard_is_named_and_its_intact_members_are_used(tmp_path: Path) -> None:
    (tmp_path / "whole.tar").write_bytes(shard())
    (tmp_path / "cut.tar").write_bytes(shard()[: len(shard()) // 3])
    (tmp_path / "noise.tar").write_bytes(b"no archive" * 100)
    listing = list_videos(files(tmp_path))
    assert set(listing.broken) == {"cut.tar", "noise.tar"}
    cut = [video for video in listing.videos if video.file == "cut.tar"]
    assert 2 < len(cut) < 12


def test_equal_digests_mean_the_same_videos_and_captions(tmp_path: Path) -> None:
    write_folder(tmp_path)
    digest = list_videos(files(tmp_path)).digest
    assert list_videos(files(tmp_path)).digest == digest
    (tmp_path / "000000.txt").write_text("something else")
    assert list_videos(files(tmp_path)).digest != digest


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("readme.txt", "nothing here"),
        ("metadata.jsonl", "{not json"),
        ("metadata.jsonl", '{"file_name": 3}'),
        ("metadata.csv", "video,text\na.mp4,b"),
    ],
)
def test_an_invalid_dataset_is_rejected(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DatasetError):
        list_videos(files(tmp_path))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere is not a folder"):
        list_videos(files(tmp_path / "nowhere"))
