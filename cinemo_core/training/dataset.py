"""The list of a dataset's videos and captions, in an order that is the same everywhere.

Three layouts: a manifest (`metadata.jsonl` or `.csv`, `file_name` and `caption`), video files with a `.txt` of the same
name beside each, and WebDataset shards, whose members are found by their headers and later read by their byte ranges.
Knows nothing of what a video holds.
"""

import hashlib
import json
import tarfile
from collections import defaultdict
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import PurePosixPath

from cinemo_core.errors import InvalidVideo
from cinemo_core.training.errors import DatasetError
from cinemo_core.training.files import Files, ShardReader, read_patiently
from cinemo_core.training.texts import (
    MOST_CAPTION_BYTES,
    MOST_MANIFEST_BYTES,
    manifest_records,
    read_caption,
    read_text,
)

VIDEO_SUFFIXES = (".mp4", ".webm", ".mkv", ".mov", ".avi", ".gif")
MANIFESTS = ("metadata.jsonl", "metadata.csv")
CAPTIONS = ("txt", "json")
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
    if sizes[manifest] > MOST_MANIFEST_BYTES:
        raise DatasetError(f"{manifest} has {sizes[manifest]:,} bytes; at most {MOST_MANIFEST_BYTES:,} are allowed")
    videos, broken = {}, {}
    for _, name, caption in manifest_records(manifest, files.read(manifest)):
        if name in sizes:
            videos[name] = Video(name, caption, name, 0, sizes[name])
        else:
            broken[name] = "the manifest names it, and it is not there"
    return Listing(tuple(videos[name] for name in sorted(videos)), broken)


def from_folder(files: Files, sizes: dict[str, int]) -> Listing:
    """Video files, each with the caption of the `.txt` beside it, or none; without one that there is it is broken."""
    names = [name for name in sizes if name.lower().endswith(VIDEO_SUFFIXES)]
    captions = [str(PurePosixPath(name).with_suffix(".txt")) for name in names]
    with ThreadPoolExecutor(INDEXING_THREADS) as threads:
        texts = list(threads.map(lambda name: caption_beside(files, name, sizes), captions))
    videos, broken = [], {}
    for name, text in zip(names, texts, strict=True):
        if isinstance(text, str):
            videos.append(Video(name, text, name, 0, sizes[name]))
        else:
            broken[name] = f"its caption cannot be had: {text}"
    return Listing(tuple(videos), broken)


def caption_beside(files: Files, name: str, sizes: dict[str, int]) -> str | InvalidVideo:
    """The text of a file, empty where there is none; or what is wrong with it."""
    if name not in sizes:
        return ""
    if sizes[name] > MOST_CAPTION_BYTES:
        return InvalidVideo(f"it has {sizes[name]:,} bytes, and may have {MOST_CAPTION_BYTES:,}")
    try:
        return read_text(Video(name, "", name, 0, sizes[name]).read(files))
    except InvalidVideo as error:
        return error


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
    try:
        with tarfile.open(fileobj=ShardReader(files, shard, size), mode="r:") as archive:
            for member in archive:
                name = as_text(member.name)
                folder, _, file = name.rpartition("/")
                stem, _, extension = file.partition(".")
                key, extension = f"{folder}/{stem}" if folder else stem, extension.lower()
                if extension not in CAPTIONS and f".{extension}" not in VIDEO_SUFFIXES:
                    continue
                if not 0 <= member.size <= size - member.offset_data:
                    # What comes next, the header alone would say.
                    broken[shard] = f"{name} claims {member.size:,} bytes, and the shard has {size:,}"
                    break
                if fault := fault_of(member, extension in CAPTIONS):
                    broken[f"{shard}/{name}"] = fault
                    continue
                members[key][f".{extension}"] = member
                caption = archive.extractfile(member) if extension in CAPTIONS else None
                if caption:
                    texts[key] = read_caption(caption.read(), extension)
    # What tarfile makes of numbers and names that no writer of archives writes.
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, LookupError) as error:
        broken[shard] = f"the shard is cut short or no tar archive: {error}"
    videos = [
        Video(f"{shard}/{key}", texts.get(key, ""), shard, member.offset_data, member.size)
        for key, parts in members.items()
        for suffix, member in parts.items()
        if suffix in VIDEO_SUFFIXES
    ]
    return Listing(tuple(videos), broken)


def fault_of(member: tarfile.TarInfo, is_caption: bool) -> str:
    """Why a member is of no use; empty where it is."""
    if not member.isreg() or member.issparse():
        return "no plain file: links, sparse files and devices are not followed"
    if is_caption and member.size > MOST_CAPTION_BYTES:
        return f"a caption may have {MOST_CAPTION_BYTES:,} bytes, this one has {member.size:,}"
    return ""


def as_text(name: str) -> str:
    """A member's name without the bytes that are no text."""
    return name.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")
