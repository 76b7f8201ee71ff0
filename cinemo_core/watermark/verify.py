"""Reports the watermark in a file's pixels, for `verify`."""

from collections.abc import Iterator
from pathlib import Path

from cinemo_core.watermark.detect import read_watermark
from cinemo_spec.errors import InvalidImage, InvalidVideo
from cinemo_spec.marking.verify import Finding


def watermark(file: Path) -> Iterator[Finding]:
    """Report the watermark of a video or picture, if it has one."""
    try:
        found = read_watermark(file)
    except (InvalidImage, InvalidVideo) as error:
        yield Finding("watermark", f"not checked, because the file can't be read: {error}")
        return
    if found is None:
        yield Finding("watermark", "none found")
        return
    text = f"of the service {found.service_id:08x} (score {found.score:.1f}; chance alone stays below 6)"
    yield Finding("watermark", text, is_mark=True)
