"""Indexes WebDataset shards by their tar headers, so that members can be read by byte range."""

import tarfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from typing_extensions import Self

from cinemo_core.folders import VIDEO_SUFFIXES, is_resource_fork
from cinemo_core.training.captions import CAPTION_SUFFIXES, MAX_CAPTION_BYTES, read_caption
from cinemo_core.training.files import Files, ShardReader
from cinemo_core.training.listing import Listing, Video, joined
from cinemo_core.training.sidecars import Sidecars, stem_of

INDEXING_THREADS = 16


def from_shards(files: Files, shards: dict[str, int]) -> Listing:
    """The videos of all shards; of a truncated shard, those before the cut."""
    with ThreadPoolExecutor(INDEXING_THREADS) as threads:
        return joined(*threads.map(lambda shard: index_shard(files, *shard), shards.items()))


class Header(tarfile.TarInfo):
    """A member's header; unlike in tarfile, an invalid one is an error, not the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.InvalidHeaderError as error:  # type: ignore[attr-defined]  # typeshed lacks it
            raise tarfile.ReadError(str(error)) from error


def index_shard(files: Files, shard: str, size: int) -> Listing:
    """Read a shard's headers and captions, but not its videos."""
    members: dict[str, tarfile.TarInfo] = {}
    texts: dict[str, str] = {}
    broken: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=ShardReader(files, shard, size), mode="r:", tarinfo=Header) as archive:
            for member in archive:
                name = as_text(member.name)
                is_caption = name.lower().endswith(CAPTION_SUFFIXES)
                if is_resource_fork(name) or not (is_caption or name.lower().endswith(VIDEO_SUFFIXES)):
                    continue
                if not 0 <= member.size <= size - member.offset_data:
                    # The position of the next header depends on this size.
                    broken[shard] = f"{name} claims {member.size:,} bytes, but the shard has {size:,}"
                    break
                if fault := fault_of(member, is_caption):
                    broken[f"{shard}/{name}"] = fault
                    continue
                if not is_caption:
                    members[name] = member
                    continue
                caption = archive.extractfile(member)
                try:
                    texts[name] = read_caption(name, caption.read()) if caption else ""
                except ValueError as error:
                    broken[f"{shard}/{name}"] = f"not text: {error}"
    # tarfile raises these for malformed numbers and names.
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, LookupError) as error:
        broken[shard] = f"the shard is truncated or not a tar archive: {error}"
    notes = () if members or broken else (f"{shard} contains no video",)
    return Listing(tuple(videos_of(shard, members, texts)), broken, notes)


def videos_of(shard: str, members: dict[str, tarfile.TarInfo], texts: dict[str, str]) -> list[Video]:
    """The videos among a shard's members, each with its first non-empty caption."""
    sidecars = Sidecars(texts, members, by_key=True)
    stems = Counter(map(stem_of, members))
    videos = []
    for name, member in members.items():
        caption = next((texts[text] for text in sidecars.of(name) if texts[text]), "")
        called = stem_of(name) if stems[stem_of(name)] == 1 else name
        videos.append(Video(f"{shard}/{called}", caption, shard, member.offset_data, member.size))
    return videos


def fault_of(member: tarfile.TarInfo, is_caption: bool) -> str:
    """Why a member is unusable; empty if it is usable."""
    if not member.isreg() or member.issparse():
        return "not a regular file: links, sparse files and devices are not supported"
    if is_caption and member.size > MAX_CAPTION_BYTES:
        return f"the caption has {member.size:,} bytes; at most {MAX_CAPTION_BYTES:,} are allowed"
    return ""


def as_text(name: str) -> str:
    """A member's name with undecodable bytes replaced."""
    return name.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")
