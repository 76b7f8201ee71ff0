"""The watermark's message: a service's 32-bit ID and a 16-bit checksum, as signs of the tile's cosines."""

import binascii

import numpy as np
from numpy.typing import NDArray

from cinemo_core.watermark.lattice import FREQUENCIES, PHASES, PILOT, Waves

ID_BITS, CHECK_BITS = 32, 16
BITS = ID_BITS + CHECK_BITS
BIT_OF = (np.arange(len(FREQUENCIES)) - PILOT.sum()) % BITS
"""Bit carried by each cosine that is not part of the pilot; neighbouring frequencies carry different bits."""
MAX_FLIPS = 6
"""Number of least certain bits that decoding tries to flip."""

Signs = NDArray[np.float64]


def encode(service_id: int) -> Waves:
    """The tile that carries an ID."""
    word = service_id << CHECK_BITS | checksum(service_id)
    bits = np.array([word >> place & 1 for place in reversed(range(BITS))])
    signs = np.where(PILOT, 1, 2 * bits[BIT_OF] - 1)
    waves: Waves = signs * np.exp(1j * PHASES)
    return waves


def decode(signs: Signs) -> int | None:
    """The most likely ID with a correct checksum, or None; each sign `(48,)` is a bit, its magnitude the certainty."""
    word = sum(1 << place for place, each in enumerate(reversed(signs)) if each > 0)
    uncertain = [1 << (BITS - 1 - int(place)) for place in np.argsort(np.abs(signs))[:MAX_FLIPS]]
    for choice in range(1 << MAX_FLIPS):
        flipped = sum(bit for place, bit in enumerate(uncertain) if choice >> place & 1)
        service_id, check = divmod(word ^ flipped, 1 << CHECK_BITS)
        if check == checksum(service_id):
            return service_id
    return None


def checksum(service_id: int) -> int:
    """CRC-16-CCITT of the ID's four bytes."""
    return binascii.crc_hqx(service_id.to_bytes(ID_BITS // 8, "big"), 0xFFFF)
