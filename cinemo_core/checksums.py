"""SHA-256 of a file of any size."""

import hashlib
from pathlib import Path

CHUNK_BYTES = 1 << 20


def sha256_of(path: Path) -> bytes:
    """The 32 bytes of the digest."""
    # Python 3.10 has no `hashlib.file_digest`.
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest()
