"""Makes colour profiles from a colour space's primaries, white point and curve."""

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixel = tuple[int, int, int]
Light = NDArray[np.floating]
D50, D65 = (0.9642, 1.0, 0.8249), (0.3127, 0.3290)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


class Space(NamedTuple):
    """Chromaticities of red, green and blue, and the exponent of its curve; None for sRGB's."""

    primaries: tuple[tuple[float, float], ...]
    gamma: float | None = None


SRGB = Space(((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)))
P3 = Space(((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)))
ADOBE_RGB = Space(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 563 / 256)
BT2020 = Space(((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)))


def to_xyz(space: Space) -> Light:
    """Matrix from linear light to XYZ, with white at D65."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in space.primaries]).T
    white = np.array((D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]))
    scaled: Light = columns * np.linalg.solve(columns, white)
    return scaled


def linear(pixel: Pixel) -> Light:
    """Linear light of an sRGB colour, 0..1."""
    value = np.array(pixel) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def light_in(pixel: Pixel, space: Space) -> Light:
    """An sRGB colour's linear light in another space."""
    return np.linalg.solve(to_xyz(space), to_xyz(SRGB) @ linear(pixel))


def written_in(pixel: Pixel, space: Space) -> Pixel:
    """An sRGB colour's encoded values in another space."""
    light = light_in(pixel, space).clip(0, 1)
    curved = (
        np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
        if space.gamma is None
        else light ** (1 / space.gamma)
    )
    red, green, blue = (round(255 * float(value)) for value in curved)
    return red, green, blue


def profile(space: Space) -> bytes:
    """An ICC profile (ICC.1:2001-04)."""
    white = to_xyz(space).sum(axis=1)
    ratio = np.diag((BRADFORD @ D50) / (BRADFORD @ white))
    columns = np.linalg.solve(BRADFORD, ratio @ BRADFORD @ to_xyz(space)).T
    named = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, columns), strict=True))
    return made_of(b"RGB ", {b"wtpt": xyz(D50), **named, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(space))})


def grey_profile(gamma: float) -> bytes:
    return made_of(b"GRAY", {b"wtpt": xyz(D50), b"kTRC": curve(Space((), gamma))})


def curve(space: Space) -> bytes:
    light = np.linspace(0, 1, 1024)
    if space.gamma is None:
        values = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    else:
        values = light**space.gamma
    return b"curv" + struct.pack(">II1024H", 0, 1024, *(values * 65535).round().astype(int))


def xyz(values: Light | tuple[float, ...]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(65536 * float(value)) for value in values))


def cmyk_profile() -> bytes:
    """A profile of a press: a table (`mft1`) from its four inks to Lab."""
    points = np.stack(np.meshgrid(*[(0.0, 1.0)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    cyan, magenta, yellow, black = points.T
    lightness = 255 * (1 - 0.45 * cyan) * (1 - 0.5 * magenta) * (1 - 0.1 * yellow) * (1 - 0.8 * black)
    a = 128 - 30 * cyan + 70 * magenta - 5 * yellow
    b = 128 - 45 * cyan - 5 * magenta + 90 * yellow
    table = np.stack((lightness, a, b), axis=-1).round().clip(0, 255).astype(np.uint8).tobytes()
    identity = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4 + table + identity * 3
    return made_of(b"CMYK", {b"wtpt": xyz(D50), b"A2B0": lut}, b"prtr", b"Lab ")


def made_of(space: bytes, parts: dict[bytes, bytes], kind: bytes = b"mntr", connection: bytes = b"XYZ ") -> bytes:
    start = 128 + 4 + 12 * len(parts)
    table, body = struct.pack(">I", len(parts)), b""
    for name, part in parts.items():
        padded = part + bytes(-len(part) % 4)
        table += struct.pack(">4sII", name, start + len(body), len(part))
        body += padded
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s12x4s", size, b"", 0x02400000, kind, space, connection, b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", *(round(65536 * value) for value in D50))
    return head.ljust(128, b"\0") + table + body


def of_color(color: Pixel | tuple[int, ...] | int, mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new(mode, size, color)
