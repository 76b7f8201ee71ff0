"""What a file says of how it was made: IPTC's digital source type, in XMP and in the tags of a container.

Nothing in it is secret or differs between equal files: neither job nor prompt nor time.
"""

import re
from enum import Enum

from cinemo_spec import __version__

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class SourceType(str, Enum):
    """How a picture came to be, as IPTC's vocabulary names it."""

    CREATED = "trainedAlgorithmicMedia"
    """A model made it."""
    EDITED = "compositeWithTrainedAlgorithmicMedia"
    """A model changed a video of somebody's."""

    @property
    def url(self) -> str:
        """The term's address, which is how files name it."""
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
    """Of a container that has tags, as MP4 and WebM."""
    return {"comment": f"Made with AI by {program()} ({source.url})"}


def scanner() -> re.Pattern[bytes]:
    """Finds a source type by its address; what follows it may be any byte."""
    return re.compile(
        re.escape(VOCABULARY).encode() + b"(" + b"|".join(each.value.encode() for each in SourceType) + b")"
    )


def program() -> str:
    return f"Cinemo {__version__}"
