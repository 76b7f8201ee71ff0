"""Signatures per Standard Webhooks 1.0: HMAC-SHA256 over ID, time and body, one for each valid secret."""

import base64
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(signing: list[str], webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers that a receiver verifies, with one signature per secret; `timestamp` in Unix seconds."""
    content = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = [_signature(secret, content) for secret in signing]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
