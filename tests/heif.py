"""Writes HEIC files box by box (ISO/IEC 23008-12), as the decoder used here has no encoder."""

import struct

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image


def heic(
    image: Image.Image,
    *,
    profile: bytes = b"",
    nclx: tuple[int, int] = (1, 13),
    quarter_turns: int = 0,
    claimed: tuple[int, int] | None = None,
    brand: bytes = b"heic",
) -> bytes:
    """A picture as phones write it.

    Args:
        image: its sides even.
        profile: an ICC profile, which goes before `nclx`.
        nclx: code points (ITU-T H.273) of its primaries and its transfer.
        quarter_turns: counterclockwise, that make it upright.
        claimed: the size that the header tells, where that is not the true one.
        brand: what kind of file it says to be.
    """
    configuration, coded = hevc(image)
    colours = [b"nclx" + struct.pack(">HHHB", *nclx, 1, 0x80), *([b"prof" + profile] if profile else [])]
    properties = [
        box(b"hvcC", configuration),
        box(b"ispe", struct.pack(">III", 0, *(claimed or image.size))),
        *(box(b"colr", each) for each in colours),
        *([box(b"irot", bytes([quarter_turns]))] if quarter_turns else []),
    ]
    places = bytes(number + 1 | (0x80 if number == 0 else 0) for number in range(len(properties)))
    uses = struct.pack(">IIHB", 0, 1, 1, len(places)) + places
    whole = box(b"ftyp", brand + bytes(4) + b"mif1" + brand)
    entry = box(b"infe", struct.pack(">BBHHH", 2, 0, 0, 1, 0) + b"hvc1" + b"\0")

    def meta(start: int) -> bytes:
        location = struct.pack(">IHHHHHII", 0, 0x4400, 1, 1, 0, 1, start, len(coded))
        return box(
            b"meta",
            bytes(4)
            + box(b"hdlr", struct.pack(">II4s12xB", 0, 0, b"pict", 0))
            + box(b"pitm", struct.pack(">IH", 0, 1))
            + box(b"iinf", struct.pack(">IH", 0, 1) + entry)
            + box(b"iloc", location)
            + box(b"iprp", box(b"ipco", b"".join(properties)) + box(b"ipma", uses)),
        )

    return whole + meta(len(whole) + len(meta(0)) + 8) + box(b"mdat", coded)


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def hevc(image: Image.Image) -> tuple[bytes, bytes]:
    """The decoder's configuration (`hvcC`) and the coded picture, each unit prefixed with its length."""
    encoder = av.CodecContext.create("libx265", "w")
    encoder.width, encoder.height = image.size
    encoder.pix_fmt, encoder.framerate = "yuv444p", 1  # type: ignore[assignment]
    encoder.options = {"preset": "ultrafast", "x265-params": "qp=1:log-level=none:keyint=1:info=0:pools=none"}
    frame = av.VideoFrame.from_ndarray(np.asarray(image.convert("RGB")), format="rgb24").reformat(
        format="yuv444p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.JPEG
    )
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    units = [unit for packet in packets for unit in split(bytes(packet))]
    kinds = {unit: unit[0] >> 1 & 63 for unit in units}
    heads = [[unit for unit in units if kinds[unit] == kind] for kind in (32, 33, 34)]
    coded = b"".join(struct.pack(">I", len(unit)) + unit for unit in units if kinds[unit] < 32)
    arrays = b"".join(
        struct.pack(">BHH", 0x80 | kind, 1, len(found[0])) + found[0]
        for kind, found in zip((32, 33, 34), heads, strict=True)
    )
    profile = heads[1][0][3:15]
    return b"\x01" + profile + b"\xf0\0\xfc\xff\xf8\xf8\0\0\x0f\x03" + arrays, coded


def split(stream: bytes) -> list[bytes]:
    """The units of a stream, separated by start codes."""
    return [unit.rstrip(b"\0") if unit[0] >> 1 & 63 >= 32 else unit for unit in parts(stream)]


def parts(stream: bytes) -> list[bytes]:
    return [part for part in stream.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if part]
