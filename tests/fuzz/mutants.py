"""Mutates pictures: changes bytes and numbers, and cuts, duplicates and splices parts."""

import random
import struct
from collections.abc import Sequence

ODD = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Numbers at which something begins or ends."""


def mutant(chance: random.Random, known: Sequence[bytes]) -> bytes:
    """One of the known pictures after a few mutations."""
    data = bytearray(chance.choice(known))
    for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
        change(chance, data, known)
    return bytes(data)


def change(chance: random.Random, data: bytearray, known: Sequence[bytes]) -> None:
    # Most of what decides stands in the first hundreds of bytes.
    reach = len(data) if chance.random() < 0.4 else min(len(data), 400)
    place = chance.randrange(reach) if reach else 0
    length = min(chance.choice((1, 2, 4, 12, 40, 400)), len(data) - place)
    kind = chance.randrange(7)
    if kind == 0 and reach:
        data[place] ^= 1 << chance.randrange(8)
    elif kind == 1:
        data[place : place + length] = chance.randbytes(length)
    elif kind == 2:
        order = chance.choice("<>")
        data[place : place + 4] = struct.pack(order + "I", chance.choice(ODD))
    elif kind == 3:
        data[place : place + 2] = struct.pack(chance.choice("<>") + "H", chance.choice(ODD) & 0xFFFF)
    elif kind == 4:
        del data[place : place + length]
    elif kind == 5:
        data[place:place] = data[place : place + length] * chance.choice((1, 2, 50))
    else:
        other = chance.choice(known)
        start = chance.randrange(len(other)) if other else 0
        data[place : place + length] = other[start : start + length]
