"""Recognises a video's container by its first bytes, without decoding it."""

from cinemo_spec.photo_files import photo_format
from service.contract.problems import VideoUnsupported

MAGIC = {"video/mp4": (4, b"ftyp"), "video/webm": (0, b"\x1aE\xdf\xa3"), "image/gif": (0, b"GIF8")}
SUFFIXES = {"video/mp4": "mp4", "video/webm": "webm", "image/gif": "gif"}
PICTURE_BRANDS = (b"mif1", b"msf1")
HEAD_BYTES = 64


def video_type(head: bytes) -> str | None:
    """The media type of MP4 or QuickTime, WebM or Matroska, or GIF; None for anything else."""
    # HEIF pictures use the container of MP4, too.
    if head[8:12] in PICTURE_BRANDS or photo_format(head):
        return None
    return next((name for name, (at, magic) in MAGIC.items() if head[at:].startswith(magic)), None)


def require_video(head: bytes) -> str:
    """The media type; raises `VideoUnsupported` if it is none of these."""
    found = video_type(head)
    if found is None:
        raise VideoUnsupported("the video is not MP4, QuickTime, WebM, Matroska or GIF, going by its first bytes")
    return found
