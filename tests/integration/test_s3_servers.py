"""S3-compatible servers that differ from S3, and the settings for them."""

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from service.contract.problems import StorageUnavailable
from service.contract.record import JobMetrics
from service.contract.settings import Settings
from service.storage import ObjectStore, S3Store, open_object_store
from service.store.retention import Retention
from tests.conftest import BUCKET, CREDENTIALS
from tests.jobs import OUTPUT, JobStore, new_job, taken
from tests.s3_servers import (
    Judge,
    Rewrite,
    deletes_nothing,
    deletes_one_by_one,
    in_capitals,
    is_as_it_is,
    is_below_a_path,
    is_virtual_hosted,
    only_says_that_it_deletes,
    redirects_all,
    s3_server,
    wants_md5,
    with_charset,
)

KEYS = [f"inputs/job_s3/{name}" for name in ("image.jpg", "a b+c.png", "ü.mp4")]


def store_at(port: int, host: str = "127.0.0.1", **settings: Any) -> ObjectStore:
    known: dict[str, Any] = {
        "storage_url": f"s3://{BUCKET}",
        "s3_endpoint_url": f"http://{host}:{port}",
        "s3_access_key_id": CREDENTIALS["access_key_id"],
        "s3_secret_access_key": CREDENTIALS["secret_access_key"],
    }
    return open_object_store(Settings(**{**known, **settings}))


@pytest.mark.parametrize("judge", [wants_md5, deletes_one_by_one, only_says_that_it_deletes])
def test_deletion_works_with_every_way_that_s3_servers_delete(s3_endpoint: str, judge: Judge) -> None:
    with s3_server(s3_endpoint, judge) as port:
        store = store_at(port)
        for _ in range(2):
            for key in KEYS:
                store.put_bytes(key, b"a photo", "image/jpeg")
            assert set(store.list("inputs/job_s3/")) == set(KEYS)
            url = store.presign(KEYS[0], 60)
            assert httpx.get(url).status_code == 200
            store.delete("inputs/job_s3/")
            assert store.list("inputs/job_s3/") == {}
            assert httpx.get(url).status_code == 404


def test_a_job_states_that_its_files_are_deleted(s3_endpoint: str, redis_client: redis.Redis) -> None:
    jobs = JobStore(redis_client)
    jobs.attempts.succeed(taken(jobs, new_job("job_s3")), OUTPUT, JobMetrics())

    def removed() -> bool:
        job = jobs.queries.get("job_s3")
        assert job is not None
        return job.data_removed

    with s3_server(s3_endpoint, deletes_nothing) as port:
        store_at(port).put_bytes(KEYS[0], b"a photo", "image/jpeg")
        with pytest.raises(StorageUnavailable, match="AccessDenied"):
            Retention(jobs.removals, store_at(port)).remove("default", "job_s3")
    assert not removed()
    with s3_server(s3_endpoint, deletes_one_by_one) as port:
        Retention(jobs.removals, store_at(port)).remove("default", "job_s3")
        assert store_at(port).list("inputs/job_s3/") == {}
    assert removed()


def test_buckets_can_be_addressed_by_virtual_host(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def found(host: Any, *arguments: Any, **options: Any) -> Any:
        return look_up("127.0.0.1" if host == f"{BUCKET}.storage.test" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with s3_server(s3_endpoint, is_virtual_hosted) as port:
        with pytest.raises(StorageUnavailable):
            store_at(port).check()
        store = store_at(port, "storage.test", s3_addressing_style="virtual")
        store.check()
        store.put_bytes("a", b"a photo", "image/jpeg")
        assert store.public_url == f"http://{BUCKET}.storage.test:{port}"
        assert store.presign("a", 60).startswith(f"{store.public_url}/a?")
        assert httpx.get(store.presign("a", 60)).content == b"a photo"
        store.delete("a")
        assert store.head("a") is None


@pytest.mark.parametrize("rewrite", [in_capitals, with_charset])
def test_a_proxy_may_write_headers_in_its_own_way(s3_endpoint: str, rewrite: Rewrite, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a video")
    with s3_server(s3_endpoint, is_as_it_is, rewrite) as port:
        store = store_at(port)
        store.put_bytes("headers/a", b"a photo", "image/jpeg")
        stored = store.put_file("headers/b", path, "video/mp4")
        assert store.copy("headers/b", "headers/c").sha256 == stored.sha256
        assert store.head("headers/b") == stored
        store.delete("headers/")


def test_an_endpoint_may_have_a_path(s3_endpoint: str) -> None:
    with s3_server(s3_endpoint, is_below_a_path) as port:
        store = store_at(port, s3_endpoint_url=f"http://127.0.0.1:{port}/storage/s3/")
        store.check()
        store.put_bytes("below/a b", b"a photo", "image/jpeg")
        assert httpx.get(store.presign("below/a b", 60)).content == b"a photo"
        store.delete("below/")
        assert store.list("below/") == {}


def test_a_server_that_redirects_everything_is_unavailable(s3_endpoint: str) -> None:
    with s3_server(s3_endpoint, redirects_all) as port:
        store = store_at(port)
        for use in (store.check, lambda: store.head("a"), lambda: store.put_bytes("a", b"a photo", "image/jpeg")):
            with pytest.raises(StorageUnavailable, match=r"301|PermanentRedirect"):
                use()


def test_a_prefix_confines_the_service_to_its_part_of_a_bucket(s3: S3Store, s3_endpoint: str, tmp_path: Path) -> None:
    port = int(s3_endpoint.rpartition(":")[2])
    store = store_at(port, storage_url=f"s3://{BUCKET}/teams/video/")
    s3.put_bytes("inputs/other", b"of others", "text/plain")
    path = tmp_path / "file"
    path.write_bytes(b"a video")
    store.put_file("inputs/a", path, "video/mp4")
    assert store.copy("inputs/a", "inputs/b").key == "inputs/b"
    assert store.list("inputs/") == {"inputs/a": 7, "inputs/b": 7}
    assert set(s3.list("teams/video/")) == {"teams/video/inputs/a", "teams/video/inputs/b"}
    assert httpx.get(store.presign("inputs/a", 60)).content == store.get_bytes("inputs/b") == b"a video"
    url = store.presign_put("inputs/c", "text/plain", 4, 60)
    assert url is not None
    assert httpx.put(url, content=b"four", headers={"Content-Type": "text/plain"}).status_code == 200
    assert s3.get_bytes("teams/video/inputs/c") == b"four"
    store.delete("")
    assert s3.list("teams/") == {}
    assert s3.head("inputs/other") is not None
    s3.delete("inputs/other")


def test_temporary_credentials_send_their_session_token(s3_endpoint: str) -> None:
    port = int(s3_endpoint.rpartition(":")[2])
    assert "X-Amz-Security-Token=a-token" in store_at(port, s3_session_token="a-token").presign("a", 60)


def test_empty_settings_count_as_unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plain = Settings(storage_url=f"s3://{BUCKET}")
    (tmp_path / "cinemo_s3_session_token").write_text("\n")
    monkeypatch.setenv("CINEMO_SECRETS_FOLDER", str(tmp_path))
    for name in Settings.model_fields:
        monkeypatch.setenv(f"CINEMO_{name.upper()}", "")
    assert Settings(storage_url=f"s3://{BUCKET}") == plain
