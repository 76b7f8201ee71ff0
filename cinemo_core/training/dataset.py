"""The list of a dataset's videos and captions, in an order that is the same everywhere.

Three layouts: a manifest (`metadata.jsonl` or `.csv`, `file_name` and `caption`), video files with a `.txt` of the same
name beside each, and WebDataset shards, whose members are found by their headers and later read by their byte ranges.
Knows nothing of what a video holds.
"""

import csv
import hashlib
import io
import json
import tarfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

from cinemo_core.errors import InvalidVideo
from cinemo_core.training.errors import DatasetError
from cinemo_core.training.files import Files, RangeFile, read_patiently

VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".gif")
MANIFESTS = ("metadata.jsonl", "metadata.csv")
HEADER_BYTES = 64 * 1024
INDEXING_THREADS = 16


@dataclass(frozen=True)
class Video:
    """Where a video's bytes are, and what is said of it; `name` tells it from all others of the dataset."""

    name: str
    caption: str
    file: str
    start: int
    length: int

    def read(self, files: Files) -> bytes:
        """The video file's bytes; raises `InvalidVideo` where they cannot be read, at the last of several tries."""
        try:
            return read_patiently(files, self.file, self.start, self.length)
        except OSError as error:
            raise InvalidVideo(f"cannot be read: {error}") from error


@dataclass(frozen=True)
class Listing:
    """All videos, sorted by name; what is known to be broken before anything is decoded, by name and reason."""

    videos: tuple[Video, ...]
    broken: dict[str, str]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, sizes and captions: equal digests mean the same list."""
        lines = (json.dumps([each.name, each.length, each.caption]) for each in self.videos)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def only(self, names: Collection[str]) -> "Listing":
        """The list without videos of other names."""
        known = frozenset(names)
        return replace(self, videos=tuple(video for video in self.videos if video.name in known))


def list_videos(files: Files) -> Listing:
    """Find the videos of a dataset.

    Raises:
        DatasetError: there is none, or a manifest cannot be read.
    """
    sizes = files.sizes()
    manifest = next((name for name in MANIFESTS if name in sizes), None)
    if manifest:
        listing = from_manifest(files, manifest, sizes)
    elif any(name.endswith(".tar") for name in sizes):
        listing = from_shards(files, {name: size for name, size in sizes.items() if name.endswith(".tar")})
    else:
        listing = from_folder(files, sizes)
    if not listing.videos:
        raise DatasetError(
            f"the dataset holds no video: looked for {', '.join(MANIFESTS)}, *.tar, *{VIDEO_SUFFIXES[0]}"
        )
    return listing


def from_manifest(files: Files, manifest: str, sizes: dict[str, int]) -> Listing:
    """The videos that a manifest names; those that are not there are broken."""
    videos, broken = {}, {}
    for number, row in enumerate(manifest_rows(manifest, files.read(manifest)), 1):
        name, caption = row.get("file_name"), row.get("caption", "")
        if not isinstance(name, str) or not isinstance(caption, str):
            raise DatasetError(f"{manifest}, record {number}: file_name and caption must be text")
        if name in sizes:
            videos[name] = Video(name, caption, name, 0, sizes[name])
        else:
            broken[name] = "the manifest names it, and it is not there"
    return Listing(tuple(videos[name] for name in sorted(videos)), broken)


def manifest_rows(manifest: str, data: bytes) -> Iterator[dict[str, Any]]:
    """The records of a manifest."""
    try:
        text = data.decode("utf-8-sig")
        if manifest.endswith(".csv"):
            yield from csv.DictReader(io.StringIO(text))
        else:
            yield from (json.loads(line) for line in text.splitlines() if line.strip())
    except (ValueError, csv.Error) as error:
        raise DatasetError(f"{manifest} cannot be read: {error}") from error


def from_folder(files: Files, sizes: dict[str, int]) -> Listing:
    """Video files, each with the caption of the `.txt` beside it, or none."""
    names = [name for name in sizes if name.lower().endswith(VIDEO_SUFFIXES)]
    captions = [str(PurePosixPath(name).with_suffix(".txt")) for name in names]
    with ThreadPoolExecutor(INDEXING_THREADS) as threads:
        texts = threads.map(lambda name: read_text(files.read(name)) if name in sizes else "", captions)
    return Listing(tuple(Video(name, text, name, 0, sizes[name]) for name, text in zip(names, texts, strict=True)), {})


def from_shards(files: Files, shards: dict[str, int]) -> Listing:
    """The members of all shards; of a shard that is cut short, those before the cut."""
    with ThreadPoolExecutor(INDEXING_THREADS) as threads:
        listings = list(threads.map(lambda shard: index_shard(files, *shard), shards.items()))
    broken = dict(chain.from_iterable(each.broken.items() for each in listings))
    videos = chain.from_iterable(each.videos for each in listings)
    return Listing(tuple(sorted(videos, key=lambda video: video.name)), broken)


def index_shard(files: Files, shard: str, size: int) -> Listing:
    """Walk a shard's headers, and read its captions: of the videos not a byte."""
    members: dict[str, dict[str, tarfile.TarInfo]] = defaultdict(dict)
    texts: dict[str, str] = {}
    broken: dict[str, str] = {}
    reader = io.BufferedReader(RangeFile(files, shard, size), HEADER_BYTES)
    try:
        with tarfile.open(fileobj=reader, mode="r:") as archive:
            for member in archive:
                folder, _, file = member.name.rpartition("/")
                stem, _, extension = file.partition(".")
                key = f"{folder}/{stem}" if folder else stem
                members[key][f".{extension.lower()}"] = member
                caption = archive.extractfile(member) if extension in ("txt", "json") else None
                if caption:
                    texts[key] = read_caption(caption.read(), extension)
    except tarfile.TarError as error:
        broken[shard] = f"the shard is cut short or no tar archive: {error}"
    videos = [
        Video(f"{shard}/{key}", texts.get(key, ""), shard, member.offset_data, member.size)
        for key, parts in members.items()
        for suffix, member in parts.items()
        if suffix in VIDEO_SUFFIXES
    ]
    return Listing(tuple(videos), broken)


def read_caption(data: bytes, extension: str) -> str:
    """The text itself, or the `caption` of a JSON object; empty where there is none."""
    if extension == "txt":
        return read_text(data)
    try:
        fields = json.loads(data)
    except ValueError:
        return ""
    caption = fields.get("caption") if isinstance(fields, dict) else None
    return caption if isinstance(caption, str) else ""


def read_text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace").strip()
