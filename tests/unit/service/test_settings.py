"""Settings come from the environment, and an invalid one is rejected by name at startup."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.contract.environment import SettingsInvalid, read_settings
from service.contract.settings import Settings


@pytest.fixture(autouse=True)
def signing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEMO_URL_SIGNING_KEY", "for tests alone")


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEMO_STORAGE_URL", "s3://videos")
    monkeypatch.setenv("CINEMO_MAX_IMAGE_BYTES", "1000")
    settings = Settings()
    assert (settings.storage_url, settings.max_image_bytes) == ("s3://videos", 1000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("storage_url", "ftp://somewhere"),
        ("storage_url", "s3://"),
        ("redis_url", "http://somewhere"),
        ("redis_url", "redis+sentinel://without-a-primary"),
        ("redis_url", "rediss://host?ssl_ca_certs=/missing.pem"),
        ("s3_endpoint_url", "minio:9000"),
        ("s3_endpoint_url", "http://mini o:9000"),
        ("s3_endpoint_url", "http://key:secret@minio:9000"),
        ("s3_public_endpoint_url", "cdn.example.com"),
        ("s3_region", "EU (Frankfurt)"),
        ("public_base_url", "example.com"),
        ("public_base_url", "https://example.com/?page=1"),
        ("public_base_url", "http://"),
        ("max_image_bytes", "0"),
        ("device", "tpu"),
        ("torch_dtype", "int8"),
        ("signed_url_seconds", "a while"),
        ("outbound_user_agent", "Cinemo "),
        ("outbound_user_agent", "Cinemo\r\nX: y"),
    ],
)
def test_an_invalid_value_is_rejected_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"CINEMO_{name.upper()}", value)
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert [error["loc"] for error in refused.value.errors()] == [(name,)]


@pytest.mark.parametrize("network", ["10.1.0.1/16", "10.1.0.0/33", "everything"])
def test_an_invalid_network_is_rejected_by_name(monkeypatch: pytest.MonkeyPatch, network: str) -> None:
    monkeypatch.setenv("CINEMO_OUTBOUND_ALLOWED_NETWORKS", f'["{network}"]')
    with pytest.raises(ValidationError, match="outbound_allowed_networks"):
        Settings()


def test_local_files_need_a_key_that_signs_their_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CINEMO_URL_SIGNING_KEY")
    with pytest.raises(ValidationError, match="CINEMO_URL_SIGNING_KEY"):
        Settings(storage_url="file:///somewhere")
    assert Settings(storage_url="s3://videos").url_signing_key is None


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("CINEMO_S3_ACCESS_KEY_ID", "CINEMO_S3_SECRET_ACCESS_KEY"),
        ("CINEMO_S3_SECRET_ACCESS_KEY", "CINEMO_S3_ACCESS_KEY_ID"),
        ("CINEMO_S3_SESSION_TOKEN", "CINEMO_S3_ACCESS_KEY_ID"),
    ],
)
def test_half_of_the_credentials_of_a_bucket_are_rejected(
    monkeypatch: pytest.MonkeyPatch, given: str, missing: str
) -> None:
    monkeypatch.setenv(given, "a-secret")
    with pytest.raises(ValidationError, match=missing) as refused:
        Settings(storage_url="s3://videos")
    assert "a-secret" not in str(refused.value)


def test_urls_of_servers_may_have_a_path() -> None:
    url = "https://example.com/storage/s3/"
    settings = Settings(s3_endpoint_url=url, s3_public_endpoint_url=url, public_base_url=url)
    assert {settings.s3_endpoint_url, settings.s3_public_endpoint_url, settings.public_base_url} == {url}


def test_a_redis_cluster_requires_another_redis_for_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEMO_REDIS_URL", "redis+cluster://one:7000,two:7001")
    with pytest.raises(ValidationError, match="CINEMO_BROKER_URL"):
        Settings()
    monkeypatch.setenv("CINEMO_BROKER_URL", "redis+sentinel://:secret@one,two:26380/main")
    assert Settings().broker == "redis+sentinel://:secret@one,two:26380/main"


def test_secrets_are_not_shown() -> None:
    assert "for tests alone" not in repr(Settings())


def test_a_file_in_the_secrets_folder_replaces_an_unset_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cinemo_s3_access_key_id").write_text("from the file\n")
    (tmp_path / "cinemo_s3_region").write_text("eu-west-1")
    monkeypatch.setenv("CINEMO_SECRETS_FOLDER", str(tmp_path))
    monkeypatch.setenv("CINEMO_S3_REGION", "eu-central-1")
    settings = Settings()
    assert (settings.s3_access_key_id, settings.s3_region) == ("from the file", "eu-central-1")


@pytest.mark.parametrize(
    "command",
    [
        ["service", "--port", "0"],
        ["worker"],
        ["worker", "--queue", "webhooks"],
        ["deploy.compose.prepare", "--receiver", "http://receiver", "--folder", "secrets"],
    ],
    ids=" ".join,
)
def test_a_process_with_invalid_settings_logs_in_plain_words_which(command: list[str]) -> None:
    done = run_with_invalid_settings(command)
    redis, lease = (json.loads(line) for line in done.stderr.splitlines())
    assert redis["error"].startswith("CINEMO_REDIS_URL: http:// is not one of ")
    assert (lease["event"], lease["error"]) == ("invalid setting", "CINEMO_LEASE_SECONDS: must be at least 1")


@pytest.mark.parametrize(
    "command", [["worker.health"], ["service.cli", "keys", "list"], ["service.cli", "usage"]], ids=" ".join
)
def test_a_command_with_invalid_settings_says_in_plain_words_which(command: list[str]) -> None:
    done = run_with_invalid_settings(command)
    redis, lease, reference = done.stderr.splitlines()
    assert redis.startswith("invalid setting: CINEMO_REDIS_URL: http:// is not one of ")
    assert lease == "invalid setting: CINEMO_LEASE_SECONDS: must be at least 1"
    assert reference == "docs/settings.md lists all settings"


def run_with_invalid_settings(command: list[str]) -> subprocess.CompletedProcess[str]:
    invalid = {"CINEMO_LEASE_SECONDS": "0", "CINEMO_REDIS_URL": "http://:a-password@somewhere"}
    done = subprocess.run([sys.executable, "-m", *command], env=os.environ | invalid, capture_output=True, text=True)
    assert done.returncode == 1
    assert "a-password" not in done.stderr
    return done


def test_a_setting_that_must_be_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CINEMO_OUTBOUND_ALLOWED_NETWORKS", "10.0.0.0/8")
    with pytest.raises(SettingsInvalid, match=r"outbound_allowed_networks.*JSON"):
        read_settings()
