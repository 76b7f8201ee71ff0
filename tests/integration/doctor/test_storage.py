"""What the doctor reports about missing, forbidden or unreachable buckets, and about folders."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis

from deploy.doctor.checks import CHECKS
from deploy.doctor.context import Context
from deploy.doctor.result import Status
from deploy.local.redis import free_port
from service.contract.settings import Settings
from tests.conftest import BUCKET, CREDENTIALS, Api
from tests.integration.doctor.examination import found, settings_for
from tests.processes import PYTHON, answers, running

SETUP_CALLS = 4
"""What moto takes without looking at who asks: bucket, user, key and policy."""
EVERYTHING = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


def storage_settings(endpoint: str, access_key_id: str, secret_access_key: str) -> dict[str, Any]:
    return {
        "storage_url": f"s3://{BUCKET}",
        "s3_endpoint_url": endpoint,
        "s3_access_key_id": access_key_id,
        "s3_secret_access_key": secret_access_key,
    }


def test_checks_delete_all_that_they_write_to_redis_and_the_storage(
    redis_client: redis.Redis, s3_endpoint: str
) -> None:
    settings = settings_for(redis_client, **storage_settings(s3_endpoint, **CREDENTIALS))
    findings = found(settings, *(check.name for check in CHECKS if check.name.startswith(("redis", "storage"))))
    assert {finding.status for finding in findings.values()} == {Status.OK}, findings
    assert redis_client.keys("*") == []
    assert Context(settings).storage.list("doctor/") == {}


def test_a_missing_bucket_and_an_unreachable_server_are_distinguished(s3_endpoint: str) -> None:
    known = storage_settings(s3_endpoint, **CREDENTIALS)
    missing = found(Settings(**{**known, "storage_url": "s3://no-such-bucket"}), "storage")["storage"]
    assert "does not exist" in missing.message
    assert "CINEMO_STORAGE_URL" in missing.remedy
    away = found(Settings(**{**known, "s3_endpoint_url": "http://127.0.0.1:1"}), "storage.objects")
    assert "start the S3 server" in away["storage"].remedy
    assert away["storage.objects"].status is Status.SKIPPED


@pytest.fixture
def strict_s3(tmp_path: Path) -> Iterator[str]:
    """A server that enforces permissions, once it is set up."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(SETUP_CALLS)}
    command = [PYTHON, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, tmp_path / "s3.log", lambda: answers(f"{endpoint}/moto-api/"), environment):
        yield endpoint


def user_without(endpoint: str, action: str) -> dict[str, str]:
    """Credentials of a user of the bucket with all other permissions."""
    options = {"endpoint_url": endpoint, "region_name": "us-east-1"}
    options |= {f"aws_{name}": value for name, value in CREDENTIALS.items()}
    boto3.client("s3", **options).create_bucket(Bucket=BUCKET)
    iam = boto3.client("iam", **options)
    iam.create_user(UserName="cinemo")
    key = iam.create_access_key(UserName="cinemo")["AccessKey"]
    statements = [EVERYTHING, {"Effect": "Deny", "Action": action, "Resource": "*"}]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="cinemo", PolicyName="rights", PolicyDocument=policy)
    return {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}


@pytest.mark.parametrize(
    ("action", "check", "operation"),
    [
        ("s3:PutObject", "storage.objects", "upload_fileobj"),
        ("s3:GetObject", "storage.objects", "head_object"),
        ("s3:AbortMultipartUpload", "storage.multipart", "abort_multipart_upload"),
        ("s3:DeleteObject", "storage.deletion", "delete_object"),
    ],
)
def test_a_missing_permission_is_named(strict_s3: str, action: str, check: str, operation: str) -> None:
    settings = Settings(**storage_settings(strict_s3, **user_without(strict_s3, action)))
    finding = found(settings, check)[check]
    assert finding.status is Status.FAILURE
    assert operation in finding.message
    assert action in finding.remedy
    assert f"arn:aws:s3:::{BUCKET}/*" in finding.remedy


def test_wrong_credentials_are_reported(strict_s3: str) -> None:
    known = user_without(strict_s3, "s3:DeleteObject")
    settings = Settings(**storage_settings(strict_s3, **{**known, "secret_access_key": "another"}))
    assert "CINEMO_S3_ACCESS_KEY_ID" in found(settings, "storage")["storage"].remedy


def test_broken_urls_are_failures_and_urls_only_clients_can_reach_are_skipped(s3_endpoint: str, api: Api) -> None:
    names = ("storage.download_url", "storage.upload_url")
    known = storage_settings(s3_endpoint, **CREDENTIALS)
    for place, status in ((api.url, Status.FAILURE), ("http://127.0.0.1:1", Status.SKIPPED)):
        findings = found(Settings(**known, s3_public_endpoint_url=place), "storage.deletion", *names)
        assert {findings[name].status for name in names} == {status}
        assert "X-Amz-Signature" not in findings[names[0]].line()


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    settings = Settings(
        storage_url=f"file://{tmp_path / 'file'}", url_signing_key="short", work_folder=str(tmp_path / "file")
    )
    findings = found(settings, "storage", "work_folder", "settings.signing_key")
    assert findings["storage"].status is findings["work_folder"].status is Status.FAILURE
    assert "CINEMO_STORAGE_URL" in findings["storage"].remedy
    assert findings["settings.signing_key"].status is Status.WARNING
