"""Lists a dataset's videos and captions.

Three layouts, which can be combined: manifests, each for its own folder; video files with captions in text files beside
them; and WebDataset shards. Does not look into videos.
"""

import posixpath
import unicodedata
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from cinemo_core.folders import VIDEO_SUFFIXES, is_resource_fork
from cinemo_core.training.captions import CAPTION_SUFFIXES, MAX_CAPTION_BYTES, read_caption
from cinemo_core.training.errors import DatasetError
from cinemo_core.training.files import Files
from cinemo_core.training.listing import Listing, Video, few, joined
from cinemo_core.training.manifests import MANIFESTS, MAX_MANIFEST_BYTES, read_manifest
from cinemo_core.training.shards import INDEXING_THREADS, from_shards
from cinemo_core.training.sidecars import Sidecars
from cinemo_spec.errors import InvalidVideo

SHARD_SUFFIX = ".tar"
UNREAD_SUFFIXES = (
    ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".ts", ".m2ts", ".mts", ".vob", ".m2v", ".webp", ".tar.gz", ".tgz",
)  # fmt: skip
"""Suffixes of video and archive formats that are not supported."""


def list_videos(files: Files, allow_uncaptioned: bool = False) -> Listing:
    """Find the videos of a dataset.

    Raises:
        DatasetError: there are none, or a manifest is unreadable or lacks captions without `allow_uncaptioned`.
    """
    sizes = {name: size for name, size in files.sizes().items() if not is_resource_fork(name)}
    manifests = manifests_of(sizes)
    loose = {name: size for name, size in sizes.items() if not manifest_for(name, manifests)}
    listing = joined(
        from_manifests(files, manifests, sizes, allow_uncaptioned),
        from_folder(files, loose),
        from_shards(files, {name: size for name, size in loose.items() if name.lower().endswith(SHARD_SUFFIX)}),
        Listing((), {}, tuple(notes_on(sizes, loose))),
    )
    if not listing.videos:
        raise DatasetError(
            f"the dataset contains no video: looked for {', '.join(MANIFESTS)}, *{SHARD_SUFFIX}, "
            f"*{', *'.join(VIDEO_SUFFIXES)}{found_instead(listing)}"
        )
    return listing


def found_instead(listing: Listing) -> str:
    """Describes what was found instead of videos."""
    broken = [f"{name}: {reason}" for name, reason in listing.broken.items()]
    return "".join(f"; {each}" for each in [*broken[:3], *listing.notes])


def manifests_of(sizes: dict[str, int]) -> dict[str, str]:
    """The manifest of each folder that has one; the first of `MANIFESTS` where it has several."""
    found: dict[str, str] = {}
    for kind in MANIFESTS:
        for name in sizes:
            folder, file = posixpath.split(name)
            if file.lower() == kind:
                found.setdefault(folder, name)
    return found


def manifest_for(name: str, manifests: dict[str, str]) -> str | None:
    """The manifest of the nearest enclosing folder of a file; None if there is none."""
    folder = posixpath.dirname(name)
    while folder not in manifests:
        if not folder:
            return None
        folder = posixpath.dirname(folder)
    return manifests[folder]


def notes_on(sizes: dict[str, int], loose: dict[str, int]) -> Iterable[str]:
    """Notes on files that are ignored although they are not broken."""
    unread = [name for name in sizes if name.lower().endswith(UNREAD_SUFFIXES)]
    if unread:
        yield f"{len(unread)} files are in unsupported formats: {few(unread)}"
    shards = [name for name in sizes if name not in loose and name.lower().endswith(SHARD_SUFFIX)]
    if shards:
        yield f"{len(shards)} archives are ignored because their folder has a manifest: {few(shards)}"


def from_manifests(files: Files, manifests: dict[str, str], sizes: dict[str, int], allow_uncaptioned: bool) -> Listing:
    """Videos listed in manifests, outer ones first; missing ones are broken."""
    found = {plain(name): name for name in sizes}
    videos: dict[str, Video] = {}
    broken: dict[str, str] = {}
    again: dict[str, None] = {}
    for folder, manifest in sorted(manifests.items()):
        if sizes[manifest] > MAX_MANIFEST_BYTES:
            raise DatasetError(f"{manifest} has {sizes[manifest]:,} bytes; at most {MAX_MANIFEST_BYTES:,} are allowed")
        named: set[str] = set()
        for record in read_manifest(manifest, files.read(manifest), allow_uncaptioned):
            meant = posixpath.join(folder, record.file_name)
            name = meant if meant in sizes else found.get(plain(meant))
            if name is None:
                broken[meant] = f"{manifest} lists it, but it does not exist"
                continue
            if name in named:
                again[name] = None
            named.add(name)
            videos[name] = Video(name, record.caption, name, 0, sizes[name])
    return Listing(tuple(videos.values()), broken, tuple(notes_on_manifests(manifests, videos, sizes, list(again))))


def notes_on_manifests(
    manifests: dict[str, str], videos: dict[str, Video], sizes: dict[str, int], again: list[str]
) -> Iterable[str]:
    """Notes on videos that no manifest lists, or that one lists twice."""
    if again:
        yield f"{len(again)} videos are listed more than once; their last caption counts: {few(again)}"
    unnamed = [
        name
        for name in sizes
        if name.lower().endswith(VIDEO_SUFFIXES) and name not in videos and manifest_for(name, manifests)
    ]
    if unnamed:
        yield f"{len(unnamed)} videos are ignored because their folder's manifest does not list them: {few(unnamed)}"


def plain(name: str) -> str:
    """Normalize a file name from any system: `./a\\b.mp4` becomes `a/b.mp4`."""
    return posixpath.normpath(unicodedata.normalize("NFC", name).replace("\\", "/"))


def from_folder(files: Files, sizes: dict[str, int]) -> Listing:
    """Video files, each with the first non-empty caption beside it; a video whose caption is unreadable is broken."""
    names = [name for name in sizes if name.lower().endswith(VIDEO_SUFFIXES)]
    sidecars = Sidecars((name for name in sizes if name.lower().endswith(CAPTION_SUFFIXES)), names)
    with ThreadPoolExecutor(INDEXING_THREADS) as threads:
        texts = list(threads.map(lambda name: caption_beside(files, sidecars.of(name), sizes), names))
    videos, broken = [], {}
    for name, text in zip(names, texts, strict=True):
        if isinstance(text, str):
            videos.append(Video(name, text, name, 0, sizes[name]))
        else:
            broken[name] = f"unreadable caption: {text}"
    return Listing(tuple(videos), broken)


def caption_beside(files: Files, names: list[str], sizes: dict[str, int]) -> str | InvalidVideo:
    """The first caption that is not empty, or else ""; or the error in reading it."""
    for name in names:
        is_json = name.lower().endswith(".json")
        if sizes[name] > MAX_CAPTION_BYTES:
            # A JSON object of this size is a tool's metadata, not a caption.
            if is_json:
                continue
            return InvalidVideo(f"{name} has {sizes[name]:,} bytes; at most {MAX_CAPTION_BYTES:,} are allowed")
        try:
            caption = read_caption(name, Video(name, "", name, 0, sizes[name]).read(files))
        except (InvalidVideo, ValueError) as error:
            return InvalidVideo(f"{name}: {error}")
        if caption:
            return caption
    return ""
