"""Captions are read as other tools write them; none is lost, cut or changed silently."""

import csv
import io
import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from cinemo_core.training.dataset import list_videos
from cinemo_core.training.errors import DatasetError
from cinemo_core.training.files import FsspecFiles
from cinemo_core.training.listing import Listing

ROWS = [{"file_name": "a.mp4", "text": "wäves, and wind"}, {"file_name": "b.mp4", "text": "sand"}]
CAPTIONS = {"a.mp4": "wäves, and wind", "b.mp4": "sand"}


def listed(folder: Path, allow_uncaptioned: bool = False) -> Listing:
    return list_videos(FsspecFiles(str(folder)), allow_uncaptioned)


def captions(folder: Path) -> dict[str, str]:
    return {video.name: video.caption for video in listed(folder).videos}


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def table(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def columns(rows: list[dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


WRITERS: dict[str, Callable[[list[dict[str, Any]]], str | bytes]] = {
    "metadata.jsonl": jsonl,
    "metadata.csv": table,
    "metadata.parquet": columns,
}
VIDEOS: dict[str, str | bytes] = {"a.mp4": b"a", "b.mp4": b"b"}


def tar(folder: Path, name: str, members: dict[str, str | bytes]) -> None:
    with tarfile.open(folder / name, "w") as archive:
        for member, content in members.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("folder", ["", "train/", "train/deep/"])
@pytest.mark.parametrize("manifest", WRITERS)
@pytest.mark.parametrize("column", ["caption", "text", "prompt"])
def test_a_manifest_in_any_folder_can_name_captions_in_several_ways(
    tmp_path: Path, manifest: str, folder: str, column: str
) -> None:
    rows = [{"file_name": row["file_name"], column: row["text"], "fps": 8} for row in ROWS]
    write(tmp_path / folder, VIDEOS | {manifest: WRITERS[manifest](rows)})
    assert captions(tmp_path) == {folder + name: caption for name, caption in CAPTIONS.items()}


@pytest.mark.parametrize("manifest", WRITERS)
def test_a_manifest_without_captions_is_rejected_unless_allowed(tmp_path: Path, manifest: str) -> None:
    rows = [{"file_name": "a.mp4", "title": "waves"}, {"file_name": "b.mp4", "title": "sand"}]
    write(tmp_path, VIDEOS | {manifest: WRITERS[manifest](rows)})
    with pytest.raises(DatasetError, match=r"no captions: .* found file_name, title; set data\.allow_uncaptioned"):
        listed(tmp_path)
    assert listed(tmp_path, allow_uncaptioned=True).captioned == 0


def test_records_without_captions_are_counted(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"file_name": "a.mp4", "text": None},
        {"file_name": "b.mp4", "caption": " ", "prompt": "sand"},
    ]
    write(tmp_path, VIDEOS | {"metadata.jsonl": jsonl(rows)})
    assert captions(tmp_path) == {"a.mp4": "", "b.mp4": "sand"}
    assert listed(tmp_path).captioned == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("manifest", ["metadata.jsonl", "metadata.csv"])
def test_a_manifest_is_read_in_the_encoding_of_its_byte_order_mark(
    tmp_path: Path, manifest: str, encoding: str
) -> None:
    text = WRITERS[manifest](ROWS)
    assert isinstance(text, str)
    write(tmp_path, VIDEOS | {manifest: text.encode(encoding)})
    assert captions(tmp_path) == CAPTIONS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-mark"])
def test_a_caption_file_is_read_in_the_encoding_of_its_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    data = b"\xfe\xff" + "wäves".encode("utf-16-be") if encoding == "utf-16-be-mark" else "wäves".encode(encoding)
    write(tmp_path, {"a.mp4": b"a", "a.txt": data})
    tar(tmp_path, "b.tar", {"b.mp4": b"b", "b.txt": data})
    assert captions(tmp_path) == {"a.mp4": "wäves", "b.tar/b": "wäves"}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le"])
def test_a_caption_file_in_an_unknown_encoding_is_reported_not_guessed(tmp_path: Path, encoding: str) -> None:
    data = "wäves".encode(encoding)
    write(tmp_path, {"a.mp4": b"a", "a.txt": data, "b.mp4": b"b"})
    tar(tmp_path, "c.tar", {"c.mp4": b"c", "c.txt": data})
    broken = listed(tmp_path).broken
    assert set(broken) == {"a.mp4", "c.tar/c.txt"}
    assert "a.txt" in broken["a.mp4"]
    write(tmp_path, {"metadata.jsonl": b'{"file_name": "a.mp4", "text": "' + data + b'"}'})
    with pytest.raises(DatasetError, match=r"metadata\.jsonl"):
        listed(tmp_path)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_unicode_line_separators_are_part_of_a_caption(tmp_path: Path, separator: str) -> None:
    caption = f"waves{separator}and wind"
    # As JavaScript writes JSON, and as other tools do that keep all but what must be escaped.
    line = json.dumps({"file_name": "a.mp4", "text": caption}, ensure_ascii=separator < " ")
    write(tmp_path, VIDEOS | {"metadata.jsonl": line + "\r\n"})
    assert captions(tmp_path) == {"a.mp4": caption}


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("b.mp4,a dog, running", "3 fields, but the header has 2"),
        ("b.mp4", "1 fields, but the header has 2"),
        ('b.mp4,"a dog', "unexpected end of data"),
        ('b.mp4,"a dog" running', "expected after"),
    ],
)
def test_an_ambiguous_row_is_rejected_by_file_and_line(tmp_path: Path, row: str, fault: str) -> None:
    write(tmp_path, VIDEOS | {"metadata.csv": f"file_name,text\na.mp4,sand\n{row}\n"})
    with pytest.raises(DatasetError, match=rf"metadata\.csv, line 3: .*{fault}"):
        listed(tmp_path)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_csv_file_is_read_with_the_delimiter_of_its_header(tmp_path: Path, delimiter: str) -> None:
    write(tmp_path, VIDEOS | {"metadata.csv": table(ROWS, delimiter).replace("file_name", " File_Name")})
    assert captions(tmp_path) == CAPTIONS


@pytest.mark.parametrize("name", ["./a.mp4", "sub/../a.mp4", "e\u0301.mp4", "\u00e9.mp4", "sub\\c.mp4", "sub/c.mp4"])
def test_a_manifest_can_name_files_with_other_systems_separators(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"a.mp4": b"a", "\u00e9.mp4": b"e", "sub/c.mp4": b"c"})
    write(tmp_path, {"metadata.jsonl": jsonl([{"video_file_name": name, "text": "waves"}])})
    assert listed(tmp_path).captioned == 1


def test_files_that_a_manifest_omits_or_repeats_are_reported(tmp_path: Path) -> None:
    twice = [{"file_name": "a.mp4", "text": "one"}, {"file_name": "a.mp4", "text": "two"}]
    write(tmp_path, VIDEOS | {"metadata.jsonl": jsonl(twice)})
    tar(tmp_path, "c.tar", {"c.mp4": b"c"})
    found = listed(tmp_path)
    assert [(video.name, video.caption) for video in found.videos] == [("a.mp4", "two")]
    assert any("listed more than once" in note and "a.mp4" in note for note in found.notes)
    assert any("ignored" in note and "b.mp4" in note for note in found.notes)
    assert any("ignored" in note and "c.tar" in note for note in found.notes)


def test_manifests_caption_files_and_shards_can_be_combined(tmp_path: Path) -> None:
    write(tmp_path, {"train/a.mp4": b"a", "train/metadata.jsonl": jsonl([{"file_name": "a.mp4", "text": "one"}])})
    write(tmp_path, {"more/b.mp4": b"b", "more/b.txt": "two", "stray.tar": b"no archive" * 100})
    tar(tmp_path, "backup.tar", {"notes.md": "nothing"})
    tar(tmp_path, "clips.TAR", {"c.mp4": b"c", "c.txt": "three"})
    found = listed(tmp_path)
    assert {video.name: video.caption for video in found.videos} == {
        "clips.TAR/c": "three",
        "more/b.mp4": "two",
        "train/a.mp4": "one",
    }
    assert list(found.broken) == ["stray.tar"]
    assert "backup.tar contains no video" in found.notes


@pytest.mark.parametrize(
    ("video", "text"),
    [
        ("a.mp4", "a.txt"),
        ("A.MP4", "A.TXT"),
        ("a.mp4", "A.Txt"),
        ("a.mp4", "a.caption"),
        ("a.MOV", "a.CAPTION"),
        ("a.mp4", "a.mp4.txt"),
        ("clip.v2.mp4", "clip.v2.txt"),
        ("e\u0301.mp4", "\u00e9.txt"),
        ("deep/er/a.mp4", "deep/er/a.txt"),
    ],
)
def test_a_caption_file_is_found_whatever_the_case_of_its_name(tmp_path: Path, video: str, text: str) -> None:
    write(tmp_path, {video: b"a", text: "waves", "other.txt": "something else"})
    assert captions(tmp_path) == {video: "waves"}


def test_videos_whose_names_differ_only_in_case_have_their_own_captions(tmp_path: Path) -> None:
    write(tmp_path, {"a.mp4": b"a", "A.mp4": b"A", "a.txt": "small"})
    assert captions(tmp_path) == {"A.mp4": "", "a.mp4": "small"}


def test_the_first_caption_file_that_is_not_empty_is_used(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        "a.mp4": b"a", "a.json": '{"caption": "object"}', "a.txt": "text",
        "b.mp4": b"b", "b.txt": "text", "b.json": '{"fps": 8}',
        "c.mp4": b"c", "c.txt": " \n", "c.caption": "caption", "c.json": '{"text": "object"}',
        "d.mp4": b"d", "d.json": '{"prompt": "object"}',
    }  # fmt: skip
    expected = {"a": "text", "b": "text", "c": "caption", "d": "object"}
    write(tmp_path / "folder", members)
    assert captions(tmp_path / "folder") == {f"{name}.mp4": caption for name, caption in expected.items()}
    (tmp_path / "shards").mkdir()
    tar(tmp_path / "shards", "1.tar", members)
    assert captions(tmp_path / "shards") == {f"1.tar/{name}": caption for name, caption in expected.items()}


def test_members_with_dots_in_their_names_are_matched_with_their_captions(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        "x/clip.v2.mp4": b"1", "x/clip.v2.txt": "two",
        "x/clip.v3.MP4": b"2", "x/clip.V3.TXT": "three",
        "y.left.mp4": b"3", "y.right.mp4": b"4", "y.txt": "both",
        "z.mp4": b"5", "z.caption.txt": "last",
        "twice.mp4": b"6", "twice.webm": b"7",
    }  # fmt: skip
    tar(tmp_path, "1.tar", members)
    assert captions(tmp_path) == {
        "1.tar/twice.mp4": "",
        "1.tar/twice.webm": "",
        "1.tar/x/clip.v2": "two",
        "1.tar/x/clip.v3": "three",
        "1.tar/y.left": "both",
        "1.tar/y.right": "both",
        "1.tar/z": "last",
    }


def test_macos_metadata_files_are_ignored(tmp_path: Path) -> None:
    forks: dict[str, str | bytes] = {"._a.mp4": b"\0\5\x16\7", "._a.txt": "\0", "__MACOSX/a.mp4": b"\0"}
    write(tmp_path, {"a.mp4": b"a", "a.txt": "waves", "._metadata.jsonl": "\0", "._b.tar": b"\0", **forks})
    tar(tmp_path, "c.tar", {"c.mp4": b"c", **forks, "x/._c.mp4": b"\0"})
    found = listed(tmp_path)
    assert {video.name: video.caption for video in found.videos} == {"a.mp4": "waves", "c.tar/c": ""}
    assert (found.broken, found.notes) == ({}, ())


def test_videos_are_found_by_many_suffixes_and_unsupported_ones_are_reported(tmp_path: Path) -> None:
    names = ["a.m4v", "b.mpg", "c.MPEG", "d.MOV", "e.avi", "f.3gp", "g.mkv", "h.webm", "i.gif"]
    write(tmp_path, dict.fromkeys([*names, "old.wmv"], b"x"))
    assert sorted(captions(tmp_path)) == sorted(names)
    assert listed(tmp_path).notes == ("1 files are in unsupported formats: old.wmv",)


def test_links_to_folders_and_files_are_followed_and_cycles_end(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", {"a.mp4": b"a", "a.txt": "waves", "deep/b.mp4": b"b"})
    folder = write(tmp_path / "dataset", {"own/c.mp4": b"c"})
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "own" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "own" / "self").symlink_to("self")
    (tmp_path / "elsewhere" / "back").symlink_to(folder, target_is_directory=True)
    (folder / "d.mp4").symlink_to(tmp_path / "elsewhere" / "a.mp4")
    (folder / "lost.mp4").symlink_to("nowhere.mp4")
    found = {video.name: video for video in listed(folder).videos}
    assert set(found) == {"d.mp4", "linked/a.mp4", "linked/deep/b.mp4", "lost.mp4", "own/c.mp4"}
    assert found["linked/a.mp4"].caption == "waves"
    assert found["linked/a.mp4"].read(FsspecFiles(str(folder))) == b"a"


def test_folders_that_link_to_each_other_endlessly_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cinemo_core.folders.MAX_FOLDERS", 1000)
    for one in range(8):
        (tmp_path / str(one)).mkdir()
        for other in range(8):
            (tmp_path / str(one) / f"to{other}").symlink_to(tmp_path / str(other), target_is_directory=True)
    with pytest.raises(DatasetError, match="links lead to more than 1,000 folders"):
        listed(tmp_path)


def test_parquet_without_its_reader_is_rejected_with_the_package_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, VIDEOS | {"metadata.parquet": columns(ROWS)})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatasetError, match=r"metadata\.parquet needs pyarrow.*cinemo-core\[parquet\]"):
        listed(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_an_invalid_parquet_file_is_named(tmp_path: Path, data: bytes) -> None:
    write(tmp_path, VIDEOS | {"metadata.parquet": data})
    with pytest.raises(DatasetError, match=r"metadata\.parquet cannot be read"):
        listed(tmp_path)
