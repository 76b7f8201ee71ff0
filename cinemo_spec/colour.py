"""Reads the colour space of a picture file, and converts colours to sRGB. Needs only Pillow.

Like browsers, ignores a profile that is broken or does not fit the picture's mode.
"""

import io
import math
import struct
from collections.abc import Callable
from functools import cache

from PIL import Image, ImageCms

MAX_PROFILE_BYTES = 4 * 1024 * 1024
"""Profiles of printing presses have several hundred kilobytes, up to two megabytes."""

UNSEEN = 2
"""Largest change, of 255, at which a profile counts as one of the many versions of sRGB."""

INPUT_CLASSES = ("scnr", "mntr", "prtr", "spac")
"""Classes of profiles that define a picture's colours; the others link, name or transform colours."""

GREY_MODES = ("1", "L", "LA", "La")
MODES = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}
"""Pillow's mode for each profile colour space."""

Conversion = Callable[[Image.Image], Image.Image]


def to_srgb(profile: bytes, mode: str) -> Conversion | None:
    """A function that converts pictures of a mode to sRGB, as RGB, or RGBA if they have transparency.

    None if they are sRGB already, or if the profile does not apply.
    """
    if not profile or len(profile) > MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space, kind = source.profile.xcolor_space, source.profile.device_class
        if space not in spaces_of(mode) or kind not in INPUT_CLASSES:
            return None
        transform = ImageCms.buildTransform(source, srgb(), MODES[space], "RGB")
        sample = sample_of(MODES[space])
        if space != "CMYK" and same(transform.apply(sample), sample.convert("RGB")):
            return None
    except (OSError, ValueError, TypeError, AttributeError, ImageCms.PyCMSError):
        return None

    def convert(image: Image.Image) -> Image.Image:
        transparent = image.has_transparency_data
        if transparent or image.mode == "P":
            image = image.convert("RGBA")
        alpha = image.getchannel("A") if transparent else None
        converted = transform.apply(image.convert(MODES[space]))
        if alpha is not None:
            converted.putalpha(alpha)
        return converted

    return convert


def spaces_of(mode: str) -> tuple[str, ...]:
    """Colour spaces of the profiles that apply to a mode; RGB profiles also apply to grey pictures."""
    if mode == "CMYK":
        return ("CMYK",)
    return ("GRAY", "RGB ") if mode in GREY_MODES or mode.startswith("I") else ("RGB ",)


@cache
def srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def sample_of(mode: str) -> Image.Image:
    """A picture of colours spread over a mode's gamut."""
    values = bytes(range(0, 256, 15))
    if mode == "L":
        return Image.frombytes("L", (len(values), 1), values)
    triples = bytes(value for r in values for g in values for b in values for value in (r, g, b))
    return Image.frombytes("RGB", (len(values) ** 2, len(values)), triples).convert(mode)


def same(one: Image.Image, other: Image.Image) -> bool:
    return all(abs(a - b) <= UNSEEN for a, b in zip(one.tobytes(), other.tobytes(), strict=True))


COLUMNS: dict[int, tuple[tuple[float, float, float], ...]] = {
    1: ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
    9: ((0.6735, 0.2790, -0.0019), (0.1657, 0.6753, 0.0300), (0.1251, 0.0456, 0.7969)),
    12: ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
}
"""Red, green and blue of BT.709, BT.2020 and Display P3 by code point, in XYZ relative to D50, the profiles' white."""
LIKE_P3 = 11
WHITE = (0.9642, 1.0, 0.8249)
LINEAR, PQ, HLG = 8, 16, 18
CURVE_POINTS = 1024
WHITE_NITS, HLG_NITS = 203, 1000
"""Luminance of diffuse white in HDR (ITU-R BT.2408), and of HLG's reference display."""
HLG_GAMMA = 1.2
KNEE = 0.8
"""Brightness relative to white above which HDR is compressed."""


def profile_of(primaries: int, transfer: int) -> bytes:
    """An ICC profile for code points (ITU-T H.273); empty if they mean sRGB or are unknown."""
    columns = COLUMNS.get(12 if primaries == LIKE_P3 else primaries)
    if columns is None or (columns is COLUMNS[1] and transfer not in (LINEAR, PQ, HLG)):
        return b""
    curve = [round(65535 * light(number / (CURVE_POINTS - 1), transfer)) for number in range(CURVE_POINTS)]
    tone = b"curv" + struct.pack(f">II{CURVE_POINTS}H", 0, CURVE_POINTS, *curve)
    parts = {b"wtpt": xyz(WHITE), **dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, columns), strict=True))}
    start = 128 + 4 + 12 * 7
    table, body = struct.pack(">I", 7), b""
    for name, part in parts.items():
        table += struct.pack(">4sII", name, start + len(body), len(part))
        body += part
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        table += struct.pack(">4sII", name, start + len(body), len(tone))
    whole = table + body + tone
    head = struct.pack(">I4sI4s4s4s12x4s", 128 + len(whole), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", *(round(65536 * each) for each in WHITE))
    return head.ljust(128, b"\0") + whole


def xyz(color: tuple[float, ...]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(65536 * each) for each in color))


def light(value: float, transfer: int) -> float:
    """Linear light of a value 0..1, where white is 1; HDR is tone-mapped channel by channel."""
    if transfer == PQ:
        return tone_mapped(pq_nits(value) / WHITE_NITS)
    if transfer == LINEAR:
        return value
    if transfer == HLG:
        return tone_mapped(hlg_scene(value) ** HLG_GAMMA * HLG_NITS / WHITE_NITS)
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def pq_nits(value: float) -> float:
    """Luminance of a PQ value 0..1 in nits (SMPTE ST 2084)."""
    root = value ** (1 / 78.84375)
    return 10_000 * float(max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def hlg_scene(value: float) -> float:
    """Scene light 0..1 of an HLG value 0..1 (ARIB STD-B67)."""
    return value**2 / 3 if value <= 0.5 else (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12


def tone_mapped(brightness: float) -> float:
    """Compress brightness above the knee to below white; leave the rest unchanged."""
    over = brightness - KNEE
    return brightness if over <= 0 else KNEE + (1 - KNEE) * (1 - math.exp(-over / (1 - KNEE)))
