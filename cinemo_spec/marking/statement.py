"""States how a file was made: IPTC's digital source type, as XMP and as container tags.

Contains nothing secret or unique, such as job, prompt or time, so that equal videos stay equal files.
"""

import re
from enum import Enum

from cinemo_spec import __version__

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class SourceType(str, Enum):
    """How a picture was made, in IPTC's vocabulary."""

    CREATED = "trainedAlgorithmicMedia"
    """Made by a model."""
    EDITED = "compositeWithTrainedAlgorithmicMedia"
    """An existing video, changed by a model."""

    @property
    def url(self) -> str:
        """The term's URL, as written to files."""
        return VOCABULARY + self.value


def xmp(source: SourceType) -> bytes:
    """An XMP packet (ISO 16684-1) that names the source type, and the program."""
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmp:CreatorTool="{program()}" Iptc4xmpExt:DigitalSourceType="{source.url}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>""".encode()


def tags(source: SourceType) -> dict[str, str]:
    """Tags for containers that have them, such as MP4 and WebM."""
    return {"comment": f"Made with AI by {program()} ({source.url})"}


def scanner() -> re.Pattern[bytes]:
    """A pattern that finds source types by URL; any byte may follow."""
    return re.compile(
        re.escape(VOCABULARY).encode() + b"(" + b"|".join(each.value.encode() for each in SourceType) + b")"
    )


def program() -> str:
    return f"Cinemo {__version__}"
