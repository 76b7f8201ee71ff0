"""What runs beside the service in `docker-compose.yml`: secrets created once, and a receiver that verifies."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from standardwebhooks.webhooks import Webhook

from deploy.compose.credentials import make_credentials
from deploy.compose.receiver import verified
from service.contract.settings import Settings
from service.webhooks.send import TIMEOUT_SECONDS
from service.webhooks.sign import new_secret, sign
from worker import watchdog

ROOT = Path(__file__).parents[3]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
KNOWN = {f"CINEMO_{name.upper()}" for name in Settings.model_fields} | {"CINEMO_SECRETS_FOLDER"}
UNITS = {"s": 1, "m": 60}
NOW = 1_790_000_000


def test_service_and_server_get_the_same_key_which_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_receiver_accepts_only_correctly_signed_messages() -> None:
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


def variables(service: dict[str, Any]) -> set[str]:
    """The service's settings of a compose service."""
    return {variable for variable in service.get("environment", ()) if variable.startswith("CINEMO_")}


def test_the_compose_file_sets_only_known_settings_and_publishes_only_to_loopback() -> None:
    for name, service in SERVICES.items():
        assert variables(service) <= KNOWN, name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert "image" in service, name
        assert ":" in service["image"], f"{name}: a version is named"


def test_every_variable_of_the_compose_file_is_documented() -> None:
    read = set(re.findall(r"[$][{](CINEMO_\w+)", COMPOSE))
    page = (ROOT / "docs/compose.md").read_text()
    assert "CINEMO_REDIS_MEMORY" in read
    assert not {name for name in read if f"`{name}`" not in page}


def test_the_documented_override_applies_to_every_process() -> None:
    (block,) = re.findall(
        r"title=docker-compose[.]override[.]yml\n(.*?)```", (ROOT / "docs/compose.md").read_text(), re.S
    )
    shown = yaml.safe_load(block)["services"]
    # `prepare` ends before anybody is served.
    assert shown.keys() == {name for name, service in SERVICES.items() if variables(service)} - {"prepare"}
    assert all(variables(service) <= KNOWN for service in shown.values())


def seconds(duration: str) -> int:
    return int(duration[:-1]) * UNITS[duration[-1]]


def test_stopping_processes_get_more_time_than_they_need() -> None:
    given = {name: seconds(service.get("stop_grace_period", "10s")) for name, service in SERVICES.items()}
    default = {name: field.default for name, field in Settings.model_fields.items()}
    assert given["api"] > default["drain_seconds"] + default["request_grace_seconds"]
    assert given["webhooks"] > TIMEOUT_SECONDS
    for device in ("", "-gpu"):
        assert given[f"worker{device}"] > default["shutdown_grace_seconds"] + watchdog.RELEASE_SECONDS
        assert given[f"trainer{device}"] > default["training_grace_seconds"] + watchdog.RELEASE_SECONDS


def test_processes_that_may_need_published_weights_can_download_and_keep_them() -> None:
    settings = dict(line.split("=", 1) for line in (ROOT / "deploy/compose/gpu.env").read_text().splitlines()[1:])
    assert settings["CINEMO_MODEL"] == "maxin-cn/Cinemo"
    loading = {name: each for name, each in SERVICES.items() if "CINEMO_DEVICE" in each.get("environment", ())}
    there = {name for name, each in loading.items() if each.get("profiles") == [settings["COMPOSE_PROFILES"]]}
    assert there == {"worker-gpu", "trainer-gpu"}
    for name, service in loading.items():
        if name in there:
            assert "outside" in service["networks"]
            assert "models:/var/lib/cinemo/models" in service["volumes"]
            assert service["environment"]["CINEMO_DEVICE"] == "cuda"
        else:
            assert service["scale"] == "${CINEMO_CPU_WORKERS:-1}", f"{name} would take the same jobs"
    assert settings["CINEMO_CPU_WORKERS"] == "0"


def test_services_have_limits_of_memory_and_disk() -> None:
    chart = yaml.safe_load((ROOT / "deploy/chart/values.yaml").read_text())
    for name in ("api", "webhooks"):
        limit = chart[name]["resources"]["limits"]["memory"]
        assert SERVICES[name]["mem_limit"] == limit.removesuffix("Mi") + "m"
    command = SERVICES["redis"]["command"]
    assert command[command.index("--maxmemory") + 1] == "${CINEMO_REDIS_MEMORY:-1gb}"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    for name, service in SERVICES.items():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
