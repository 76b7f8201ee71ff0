"""Finds the text files that may contain a video's caption, by name."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from cinemo_core.training.captions import CAPTION_SUFFIXES


def stem_of(name: str) -> str:
    """A name without its last suffix."""
    return name.rpartition(".")[0]


def key_of(name: str) -> str:
    """A sample's key in WebDataset: everything before the first dot of the file's own name."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.partition('.')[0]}"


def loosely(name: str) -> str:
    """A name normalized for comparison regardless of case and Unicode form."""
    return unicodedata.normalize("NFC", name).casefold()


class Sidecars:
    """A dataset's text files by the video they belong to."""

    def __init__(self, texts: Iterable[str], videos: Iterable[str], by_key: bool = False) -> None:
        """`by_key`: names follow WebDataset's convention, where files with the same key form a sample."""
        self._by_key = by_key
        self._texts: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in texts:
            for stem in {stem_of(name), *([key_of(name)] if by_key else [])}:
                self._texts[loosely(stem), suffix_of(name)].append(name)
        videos = list(videos)
        self._stems = Counter(loosely(stem_of(name)) for name in videos)
        self._keys = Counter(key_of(name) for name in videos)

    def of(self, video: str) -> list[str]:
        """Names of texts that may be a video's caption, most likely first."""
        found = (name for suffix in CAPTION_SUFFIXES for name in self._with(suffix, video))
        return list(dict.fromkeys(found))

    def _with(self, suffix: str, video: str) -> Iterator[str]:
        stem = stem_of(video)
        beside = self._texts.get((loosely(stem), suffix), [])
        yield from (name for name in beside if stem_of(name) == stem)
        # If two videos' names differ only in case, each gets the text with the exact name.
        if self._stems[loosely(stem)] == 1:
            yield from (name for name in beside if loosely(stem_of(name)) == loosely(stem))
        yield from (name for name in self._texts.get((loosely(video), suffix), []) if stem_of(name) == video)
        if self._by_key:
            key = key_of(video)
            of_sample = [name for name in self._texts.get((loosely(key), suffix), []) if key_of(name) == key]
            yield from (name for name in of_sample if stem_of(name) == key)
            if self._keys[key] == 1:
                yield from of_sample


def suffix_of(name: str) -> str:
    return f".{name.rpartition('.')[2]}".lower()
