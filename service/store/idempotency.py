"""What makes a request safe to send again: its hold on the key that its client gave it."""

import secrets
from dataclasses import dataclass, field

IDEMPOTENCY_SECONDS = 86_400


@dataclass(frozen=True)
class IdempotencyLock:
    """A request's hold on an idempotency key, until a job comes of it.

    Attributes:
        key: the client's own name for the request.
        fingerprint: SHA-256 of what the client sent; another request may not have the key.
        nonce: tells this sending from another of the same request, so that what Redis is told twice, as its answer was
            lost, counts once, and nobody gives up what is not theirs.
        seconds: for which the request, sent again, gets the job that it has made.
        afresh: whether it makes another job, whatever the key has made before.
    """

    key: str
    fingerprint: str
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    seconds: int = IDEMPOTENCY_SECONDS
    afresh: bool = False
