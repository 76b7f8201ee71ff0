"""Our signatures are those of Standard Webhooks, as its published library makes and verifies them."""

import base64
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.webhooks.sign import new_secret, sign

BODY = '{"type": "job.succeeded", "data": {"prompt": "waves ~ \u6ce2"}}'.encode()


def test_the_published_library_verifies_our_signatures() -> None:
    secret = new_secret()
    headers = sign([secret], "msg_1", int(time.time()), BODY)
    assert Webhook(secret).verify(BODY, headers)["data"] == {"prompt": "waves ~ \u6ce2"}


def test_our_signatures_equal_the_published_librarys() -> None:
    secret = new_secret()
    theirs = Webhook(secret).sign("msg_1", datetime.fromtimestamp(1_700_000_000, UTC), BODY.decode())
    assert sign([secret], "msg_1", 1_700_000_000, BODY)["webhook-signature"] == theirs


def test_during_a_rotation_either_secret_verifies_a_webhook() -> None:
    old, new = new_secret(), new_secret()
    headers = sign([new, old], "msg_1", int(time.time()), BODY)
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)


@pytest.mark.parametrize("changed", ["id", "timestamp", "body", "secret"])
def test_any_change_invalidates_the_signature(changed: str) -> None:
    secret, now = new_secret(), int(time.time())
    headers, body = sign([secret], "msg_1", now, BODY), BODY
    if changed == "body":
        body += b" "
    elif changed == "secret":
        secret = new_secret()
    else:
        headers[f"webhook-{changed}"] = {"id": "msg_2", "timestamp": str(now + 1)}[changed]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_secrets_have_32_random_bytes() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert first.startswith("whsec_")
    assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32
