"""What runs beside the service in `docker-compose.yml`: secrets that are made once, and a receiver that verifies."""

import json
import stat
from pathlib import Path

import pytest
import yaml
from standardwebhooks.webhooks import Webhook

from deploy.compose.credentials import make_credentials
from deploy.compose.receiver import verified
from service.settings import Settings
from service.webhooks.sign import new_secret, sign

COMPOSE = Path(__file__).parents[3] / "docker-compose.yml"
NOW = 1_790_000_000


def test_both_sides_get_the_same_key_and_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service, s3 = tmp_path / "service", tmp_path / "s3"
    for folder in (service, s3):
        folder.mkdir()
    make_credentials(service, s3)
    monkeypatch.setenv("CINEMO_SECRETS_FOLDER", str(service))
    monkeypatch.setenv("CINEMO_STORAGE_URL", "s3://videos")
    settings = Settings()
    assert settings.s3_secret_access_key is not None
    (identity,) = json.loads((s3 / "s3.json").read_text())["identities"]
    assert identity["credentials"] == [
        {"accessKey": settings.s3_access_key_id, "secretKey": settings.s3_secret_access_key.get_secret_value()}
    ]
    make_credentials(service, s3)
    assert Settings() == settings
    assert not any(path.stat().st_mode & stat.S_IRWXO for path in service.iterdir())


def test_the_receiver_takes_what_we_sign_and_nothing_else() -> None:
    secret, other, body = new_secret(), new_secret(), b'{"type": "job.succeeded"}'
    headers = sign([other, secret], "msg_1", NOW, body)
    assert verified(secret, headers, body, NOW)
    assert verified(secret, headers, body, NOW + 299)
    assert not verified(secret, headers, body, NOW + 301)
    assert not verified(secret, headers, body + b" ", NOW)
    assert not verified(new_secret(), headers, body, NOW)
    assert not verified(secret, {**headers, "webhook-id": "msg_2"}, body, NOW)
    for name in headers:
        assert not verified(secret, {key: value for key, value in headers.items() if key != name}, body, NOW)


def test_the_receiver_agrees_with_the_standards_library() -> None:
    from datetime import UTC, datetime

    secret, body, now = new_secret(), '{"type": "job.succeeded"}', datetime.now(UTC)
    signature = Webhook(secret).sign("msg_1", now, body)
    stamp = int(now.timestamp())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(stamp), "webhook-signature": signature}
    assert verified(secret, headers, body.encode(), stamp)


def test_the_compose_file_sets_only_what_is_a_setting_and_publishes_only_to_this_machine() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    known = {f"CINEMO_{name.upper()}" for name in Settings.model_fields} | {"CINEMO_SECRETS_FOLDER"}
    for name, service in services.items():
        ours = {variable for variable in service.get("environment", ()) if variable.startswith("CINEMO_")}
        assert ours <= known, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert "image" in service, name
        assert ":" in service["image"], f"{name}: a version is named"
