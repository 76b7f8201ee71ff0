"""The kinds of dataset, videos and photos: how each is listed, turned into clips and captioned."""

from cinemo_core.training.dataset import list_videos
from cinemo_core.training.files import Files
from cinemo_core.training.listing import Listing
from cinemo_core.training.loader import Clips
from cinemo_core.training.stills import MovingStills, drawn_captions, list_stills
from cinemo_spec.training import DataConfig

CLIPS: dict[str, type[Clips]] = {"videos": Clips, "stills": MovingStills}


def list_source(files: Files, config: DataConfig) -> Listing:
    """List the dataset; raises `DatasetError` if it is empty."""
    return list_stills(files) if config.kind == "stills" else list_videos(files, config.allow_uncaptioned)


def captions(listing: Listing, kind: str, seed: int) -> list[str]:
    """Captions of the videos, or for photos, of enough random motions to cover every word."""
    return drawn_captions(seed) if kind == "stills" else [video.caption for video in listing.videos]
