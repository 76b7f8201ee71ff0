"""The lock on an idempotency key, which makes a request safe to repeat."""

import secrets
from dataclasses import dataclass, field

IDEMPOTENCY_SECONDS = 86_400


@dataclass(frozen=True)
class IdempotencyLock:
    """A request's lock on an idempotency key, until it has created a job.

    Attributes:
        key: the key that the client chose.
        fingerprint: SHA-256 of the request; a different request may not use the key.
        nonce: distinguishes repetitions of the same request, so that a command that is repeated because Redis' response
            was lost counts once, and only the owner releases the lock.
        seconds: how long a repeated request gets the job that it has created.
        afresh: whether to create another job even if the key has one.
    """

    key: str
    fingerprint: str
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    seconds: int = IDEMPOTENCY_SECONDS
    afresh: bool = False
