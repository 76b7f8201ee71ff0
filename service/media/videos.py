"""What can be told of a video without decoding it: its container, going by its first bytes."""

from cinemo_spec.photo_files import photo_format
from service.contract.problems import VideoUnsupported

MAGIC = {"video/mp4": (4, b"ftyp"), "video/webm": (0, b"\x1aE\xdf\xa3"), "image/gif": (0, b"GIF8")}
SUFFIXES = {"video/mp4": "mp4", "video/webm": "webm", "image/gif": "gif"}
EITHER = (b"mif1", b"msf1")
HEAD_BYTES = 64


def video_type(head: bytes) -> str | None:
    """The media type of MP4 or QuickTime, WebM or Matroska, or GIF; None for anything else."""
    # Pictures come in the container of MP4, too.
    if head[8:12] in EITHER or photo_format(head):
        return None
    return next((name for name, (at, magic) in MAGIC.items() if head[at:].startswith(magic)), None)


def require_video(head: bytes) -> str:
    """The media type; raises `VideoUnsupported` where it is none of these."""
    found = video_type(head)
    if found is None:
        raise VideoUnsupported("the video is none of MP4, QuickTime, WebM, Matroska, GIF, going by its first bytes")
    return found
