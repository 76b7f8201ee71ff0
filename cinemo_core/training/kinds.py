"""The kinds of dataset: how one of videos or photos is listed, what makes clips of it, and what is said of those."""

from cinemo_core.training.config import DataConfig
from cinemo_core.training.dataset import list_videos
from cinemo_core.training.files import Files
from cinemo_core.training.listing import Listing
from cinemo_core.training.loader import Clips
from cinemo_core.training.stills import MovingStills, drawn_captions, list_stills

CLIPS: dict[str, type[Clips]] = {"videos": Clips, "stills": MovingStills}


def list_source(files: Files, config: DataConfig) -> Listing:
    """What the dataset holds; raises `DatasetError` where that is nothing."""
    return list_stills(files) if config.kind == "stills" else list_videos(files, config.allow_uncaptioned)


def captions(listing: Listing, kind: str, seed: int) -> list[str]:
    """Of the videos; or as many as it takes to meet every word, of the motions that photos are set in."""
    return drawn_captions(seed) if kind == "stills" else [video.caption for video in listing.videos]
