"""`cinemo doctor` on real parts, each broken for real: it says which, and how to mend it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import redis

from cinemo_core.checkpoint import BUILT_IN, SIDECAR
from deploy.doctor import redis_server, surroundings
from deploy.doctor.examination import CHECKS, examine
from deploy.doctor.subject import Subject
from deploy.doctor.verdict import Finding, Status
from deploy.local.redis import free_port, redis_command
from deploy.local.stack import answers_ping
from service.jobs.keys import REAPER_ROUND
from service.jobs.model import new_job_id
from service.jobs.store import JobStore
from service.jobs.workers import Worker, WorkerRegistry
from service.settings import Settings
from service.tenants import Scope, TenantStore
from service.webhooks.endpoints import EndpointStore
from tests.absence import REFUSING
from tests.conftest import BUCKET, CREDENTIALS, Api, s3_variables
from tests.jobs import new_job
from tests.processes import PYTHON, answers, running

SETUP_CALLS = 4
"""What moto takes without looking at who asks: bucket, user, key and policy."""
EVERYTHING = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


def found(settings: Settings, *names: str, loads_model: bool = False) -> dict[str, Finding]:
    """What these checks, and those that they need, find."""
    needed = {check.needs for check in CHECKS if check.name in names}
    chosen = tuple(check for check in CHECKS if check.name in needed | set(names))
    return {finding.check: finding for finding in examine(Subject(settings, loads_model), chosen)}


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[redis.Redis]:
    """A server that a test may break."""
    folder, port = tmp_path / "redis", free_port()
    folder.mkdir()
    with running(redis_command(port, folder), folder / "log", lambda: answers_ping(port)):
        yield redis.Redis(port=port)


def settings_for(client: redis.Redis, login: str = "", **others: Any) -> Settings:
    port = client.connection_pool.connection_kwargs["port"]
    known = {"redis_url": f"redis://{login}127.0.0.1:{port}/0", "storage_url": "s3://none", **others}
    return Settings(**known)


def make_replica(client: redis.Redis) -> None:
    client.execute_command("REPLICAOF", "127.0.0.1", "1")


def forbid_info(client: redis.Redis) -> None:
    client.execute_command("ACL", "SETUSER", "default", "-info")


BREAKS: dict[str, tuple[str, Callable[[redis.Redis], object], str, str]] = {
    "no append-only file": (
        "redis.durability",
        lambda client: client.config_set("appendonly", "no"),
        "keeps no append-only file",
        "appendonly yes",
    ),
    "eviction": (
        "redis.durability",
        lambda client: client.config_set("maxmemory-policy", "allkeys-lru"),
        "drops keys",
        "noeviction",
    ),
    "no right to ask": ("redis.durability", forbid_info, "may not be asked", "allow its user INFO"),
    "a replica": ("redis.writes", make_replica, "takes no writes", "name the primary"),
    "full memory": ("redis.writes", lambda client: client.config_set("maxmemory", 1), "takes no writes", "maxmemory"),
    "full memory, told": ("redis.memory", lambda client: client.config_set("maxmemory", 1), "MiB used", "maxmemory"),
    "a password": (
        "redis",
        lambda client: client.config_set("requirepass", "hidden"),
        "refuses us",
        "user and password in CINEMO_REDIS_URL",
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_redis_that_is_set_up_wrongly_is_told_of(own_redis: redis.Redis, broken: str) -> None:
    check, break_it, says, mend = BREAKS[broken]
    settings = settings_for(own_redis)
    before = found(settings, check)[check]
    assert (before.status, before.mend) == (Status.OK, "")
    break_it(own_redis)
    finding = found(settings, check)[check]
    assert finding.status is Status.FAILURE
    assert says in finding.says
    assert mend in finding.mend


def test_a_redis_that_may_lose_jobs_by_decision_is_a_warning(own_redis: redis.Redis) -> None:
    own_redis.config_set("appendonly", "no")
    finding = found(settings_for(own_redis, redis_durability="any"), "redis.durability")["redis.durability"]
    assert finding.status is Status.WARNING


def test_a_redis_without_a_limit_is_a_warning_since_no_alert_could_tell_of_its_memory(own_redis: redis.Redis) -> None:
    own_redis.config_set("maxmemory", 0)
    finding = found(settings_for(own_redis), "redis.memory")["redis.memory"]
    assert finding.status is Status.WARNING
    assert "maxmemory" in finding.mend


def test_where_redis_is_away_that_is_said_once_and_the_rest_waits() -> None:
    names = [check.name for check in CHECKS if check.needs == "redis"]
    settings = Settings(redis_url="redis://:hidden@127.0.0.1:1/0", storage_url="s3://none")
    findings = found(settings, *names)
    assert findings.pop("redis").line().startswith("failure  redis: does not answer: ")
    assert {finding.status for finding in findings.values()} == {Status.SKIPPED}
    assert "hidden" not in "".join(finding.line() for finding in findings.values())


def test_a_slow_redis_and_clocks_that_differ_are_told_of(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(redis_client)
    names = ("redis.latency", "redis.clock")
    assert [found(settings, name)[name].status for name in names] == [Status.OK, Status.OK]
    monkeypatch.setattr(redis_server, "SLOW_MS", 0)
    assert found(settings, "redis.latency")["redis.latency"].status is Status.WARNING
    real = time.time
    for skew, status in ((3, Status.WARNING), (-300, Status.FAILURE)):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda skew=skew: real() + skew)
            assert found(settings, "redis.clock")["redis.clock"].status is status


def test_what_the_checks_write_in_redis_and_the_storage_is_gone_again(
    redis_client: redis.Redis, s3_endpoint: str
) -> None:
    settings = settings_for(redis_client, **storage_settings(s3_endpoint, **CREDENTIALS))
    findings = found(settings, *(check.name for check in CHECKS if check.name.startswith(("redis", "storage"))))
    assert {finding.status for finding in findings.values()} == {Status.OK}, findings
    assert redis_client.keys("*") == []
    assert Subject(settings).storage.list("doctor/") == {}


def storage_settings(endpoint: str, access_key_id: str, secret_access_key: str) -> dict[str, Any]:
    return {
        "storage_url": f"s3://{BUCKET}",
        "s3_endpoint_url": endpoint,
        "s3_access_key_id": access_key_id,
        "s3_secret_access_key": secret_access_key,
    }


def test_a_bucket_that_is_not_there_and_a_server_that_is_away_are_told_apart(s3_endpoint: str) -> None:
    known = storage_settings(s3_endpoint, **CREDENTIALS)
    missing = found(Settings(**{**known, "storage_url": "s3://no-such-bucket"}), "storage")["storage"]
    assert "does not exist" in missing.says
    assert "make the bucket" in missing.mend
    away = found(Settings(**{**known, "s3_endpoint_url": "http://127.0.0.1:1"}), "storage.objects")
    assert "start the S3 server" in away["storage"].mend
    assert away["storage.objects"].status is Status.SKIPPED


@pytest.fixture
def strict_s3(tmp_path: Path) -> Iterator[str]:
    """A server that looks at rights, once it has been set up."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(SETUP_CALLS)}
    command = [PYTHON, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, tmp_path / "s3.log", lambda: answers(f"{endpoint}/moto-api/"), environment):
        yield endpoint


def user_without(endpoint: str, action: str) -> dict[str, str]:
    """Credentials of a user of the bucket who may do everything else."""
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
    ("action", "check", "says"),
    [
        ("s3:PutObject", "storage.objects", "refused upload_fileobj"),
        ("s3:GetObject", "storage.objects", "refused head_object"),
        ("s3:AbortMultipartUpload", "storage.parts", "refused abort_multipart_upload"),
        ("s3:DeleteObject", "storage.deleting", "refused to delete doctor/"),
    ],
)
def test_a_right_that_is_missing_is_named(strict_s3: str, action: str, check: str, says: str) -> None:
    settings = Settings(**storage_settings(strict_s3, **user_without(strict_s3, action)))
    finding = found(settings, check)[check]
    assert finding.status is Status.FAILURE
    assert says in finding.says
    assert action in finding.mend
    assert f"arn:aws:s3:::{BUCKET}/*" in finding.mend


def test_wrong_credentials_are_told_of(strict_s3: str) -> None:
    known = user_without(strict_s3, "s3:DeleteObject")
    settings = Settings(**storage_settings(strict_s3, **{**known, "secret_access_key": "another"}))
    assert "CINEMO_S3_ACCESS_KEY_ID" in found(settings, "storage")["storage"].mend


def test_urls_that_lead_astray_fail_and_those_that_lead_elsewhere_are_left_to_clients(
    s3_endpoint: str, api: Api
) -> None:
    names = ("storage.download_url", "storage.upload_url")
    known = storage_settings(s3_endpoint, **CREDENTIALS)
    for place, status in ((api.url, Status.FAILURE), ("http://127.0.0.1:1", Status.SKIPPED)):
        findings = found(Settings(**known, s3_public_endpoint_url=place), "storage.deleting", *names)
        assert {findings[name].status for name in names} == {status}
        assert "X-Amz-Signature" not in findings[names[0]].line()


def test_a_folder_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("where the folder should be")
    settings = Settings(
        storage_url=f"file://{tmp_path / 'file'}", url_signing_key="short", work_folder=str(tmp_path / "file")
    )
    findings = found(settings, "storage", "work_folder", "settings.signing_key")
    assert findings["storage"].status is findings["work_folder"].status is Status.FAILURE
    assert "CINEMO_STORAGE_URL" in findings["storage"].mend
    assert findings["settings.signing_key"].status is Status.WARNING


def test_a_disk_that_is_nearly_full_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(storage_url="s3://none", work_folder=str(tmp_path))
    free = shutil.disk_usage(tmp_path).free
    for name, status in (("ENOUGH_BYTES", Status.WARNING), ("LEAST_BYTES", Status.FAILURE)):
        monkeypatch.setattr(surroundings, name, 2 * free)
        assert found(settings, "work_folder")["work_folder"].status is status


def test_jobs_that_nobody_takes_are_told_of_and_idle_workers_beside_them(redis_client: redis.Redis) -> None:
    settings, jobs = settings_for(redis_client), JobStore(redis_client)

    def line() -> Finding:
        return found(settings, "queue.animate")["queue.animate"]

    assert (line().status, line().says) == (Status.WARNING, "workers: 0, idle: 0; jobs that wait: 0")
    minutes_ago = datetime.now(UTC) - timedelta(minutes=2)
    old = f"job_{int(minutes_ago.timestamp() * 1000):012x}{new_job_id()[16:]}"
    jobs.create(new_job().model_copy(update={"id": old}))
    assert line().status is Status.FAILURE
    assert "python -m worker --queue animate" in line().mend
    worker = Worker(id="w", queues=("animate", "webhooks"), since=datetime.now(UTC))
    WorkerRegistry(redis_client).beat(worker, 60)
    assert line().status is Status.WARNING
    assert "max_running" in line().mend
    WorkerRegistry(redis_client).beat(worker.model_copy(update={"job": "another"}), 60)
    assert line().status is Status.OK
    assert found(settings, "queue.webhooks")["queue.webhooks"].status is Status.OK


def test_workers_of_which_none_reaps_are_told_of(redis_client: redis.Redis) -> None:
    settings, jobs = settings_for(redis_client), JobStore(redis_client)

    def reaper() -> Finding:
        return found(settings, "queue.reaper")["queue.reaper"]

    assert reaper().status is Status.OK
    registry, began = WorkerRegistry(redis_client), datetime.now(UTC)
    registry.beat(Worker(id="w", queues=("train",), since=began), 60)
    assert reaper().status is Status.OK
    registry.beat(Worker(id="w", queues=("train",), since=began - timedelta(hours=1)), 60)
    assert reaper().status is Status.FAILURE
    jobs.note_round()
    assert reaper().status is Status.OK
    an_hour_ago = (time.time() - 3600) * 1000
    redis_client.set(REAPER_ROUND, round(an_hour_ago))
    assert reaper().status is Status.FAILURE


def test_keys_and_secrets_that_nobody_has_are_told_of(redis_client: redis.Redis) -> None:
    settings = settings_for(redis_client)
    names = ("tenants.keys", "tenants.webhook_secrets")

    def statuses() -> list[Status]:
        return [found(settings, name)[name].status for name in names]

    assert statuses() == [Status.WARNING, Status.OK]
    TenantStore(redis_client).create_key("acme", frozenset({Scope.ANIMATE}))
    endpoints = EndpointStore(redis_client)
    endpoint = endpoints.add("acme", "https://example.com/hook")
    assert statuses() == [Status.OK, Status.WARNING]
    assert "--tenant acme" in found(settings, names[1])[names[1]].mend
    assert endpoints.secrets("acme")[0] not in found(settings, names[1])[names[1]].line()
    assert statuses() == [Status.OK, Status.OK]
    disabled = endpoint.model_copy(update={"enabled": False})
    redis_client.hset("{cinemo}:webhooks:endpoints:acme", endpoint.id, disabled.model_dump_json())
    assert statuses() == [Status.OK, Status.WARNING]


def test_a_public_url_leads_to_the_api_or_is_told_of(api: Api, s3_endpoint: str) -> None:
    def of(url: str, auth: str = "off") -> Status:
        settings = Settings(storage_url="s3://none", public_base_url=url, auth=auth)
        return found(settings, "public_url")["public_url"].status

    assert of(api.url) is Status.OK
    assert of(api.url, "keys") is Status.WARNING
    assert of(s3_endpoint) is of("cinemo.example.com") is Status.FAILURE
    assert of("http://127.0.0.1:1") is Status.SKIPPED


def test_a_device_that_is_not_there_fails_and_a_cpu_is_called_so() -> None:
    names = ("device", "device.computing", "device.memory")
    findings = found(Settings(storage_url="s3://none", device="cpu"), *names)
    assert {finding.status for finding in findings.values()} == {Status.OK}
    assert findings["device"].says.startswith("CPU only; PyTorch ")
    missing = found(Settings(storage_url="s3://none", device="cuda:99"), *names)["device"]
    assert missing.status is Status.FAILURE


def test_a_model_whose_files_are_cut_short_or_missing_is_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUILT_IN["tiny"], folder)
    settings = Settings(storage_url="s3://none", model=str(folder))
    (folder / SIDECAR).unlink()
    finding = found(settings, "model")["model"]
    assert finding.status is Status.OK
    assert f"there is no {SIDECAR}" in finding.says
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    finding = found(settings, "model", "model.running", loads_model=True)["model"]
    assert finding.status is Status.FAILURE
    assert "cut short" in finding.says
    (folder / SIDECAR).write_text("{}")
    assert "not a model card" in found(settings, "model")["model"].says


def test_a_model_of_the_hub_is_looked_for_on_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    finding = found(Settings(storage_url="s3://none", model="no-such-owner/no-such-model"), "model")["model"]
    assert finding.status is Status.WARNING
    assert "HF_HOME" in finding.mend


def test_the_model_is_run_where_that_is_asked_for() -> None:
    settings = Settings(storage_url="s3://none")
    assert found(settings, "model.running")["model.running"].status is Status.SKIPPED
    finding = found(settings, "model.running", loads_model=True)["model.running"]
    assert finding.status is Status.OK
    assert "revision" in finding.says


def doctor(prelude: str, variables: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, with these variables alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CINEMO_")}
    command = [sys.executable, "-c", f"{prelude}\nfrom deploy.cli import app\napp()", "doctor", *arguments]
    return subprocess.run(command, env={**kept, **variables}, capture_output=True, text=True)


def test_the_command_tells_everything_as_lines_or_as_json_and_exits_by_the_worst(
    redis_client: redis.Redis, redis_port: int, s3_endpoint: str, tmp_path: Path
) -> None:
    variables = {
        **s3_variables(s3_endpoint),
        "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CINEMO_WORK_FOLDER": str(tmp_path),
        "CINEMO_REDIS_URI": "a slip of the pen",
    }
    done = doctor("", variables)
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, summary = done.stdout.splitlines()
    assert [line.split()[1].removesuffix(":") for line in lines] == [check.name for check in CHECKS]
    assert "CINEMO_REDIS_URI set, which nobody reads; meant may be CINEMO_REDIS_URL" in lines[0]
    assert summary.endswith("skipped")
    told = json.loads(doctor("", {**variables, "CINEMO_STORAGE_URL": "s3://no-such-bucket"}, "--json").stdout)
    assert told["status"] == "failure"
    assert {each["check"]: each["status"] for each in told["checks"]}["storage"] == "failure"


def test_wrong_settings_are_named_and_nothing_else_is_looked_at() -> None:
    done = doctor("", {"CINEMO_STORAGE_URL": "ftp://bucket", "CINEMO_LEASE_SECONDS": "0"})
    assert done.returncode == 1
    assert [line.split(":")[1].strip() for line in done.stdout.splitlines()[:-1]] == [
        "CINEMO_STORAGE_URL",
        "CINEMO_LEASE_SECONDS",
    ]
    done = doctor("", {"CINEMO_STORAGE_URL": "s3://bucket", "CINEMO_OUTBOUND_ALLOWED_NETWORKS": "10.0.0.0/8"})
    assert done.returncode == 1
    assert "write it as JSON" in done.stdout


def test_in_an_image_without_pytorch_the_rest_is_looked_at(
    redis_client: redis.Redis, redis_port: int, s3_endpoint: str, tmp_path: Path
) -> None:
    absent = {"torch", "numpy", "diffusers", "transformers", "huggingface_hub", "safetensors", "moto", "pytest"}
    variables = {
        **s3_variables(s3_endpoint),
        "CINEMO_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CINEMO_WORK_FOLDER": str(tmp_path / "none"),
    }
    done = doctor(REFUSING.format(absent=absent), variables)
    assert done.returncode == 0, done.stdout + done.stderr
    skipped = {line.split()[1] for line in done.stdout.splitlines() if "in this image" in line}
    assert skipped == {"device:", "device.computing:", "device.memory:", "model:", "model.running:", "work_folder:"}
