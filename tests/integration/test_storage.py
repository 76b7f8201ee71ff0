"""One interface, two storages: the same guarantees on S3 over a socket and on disk."""

import hashlib
import mimetypes
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from service.contract.problems import Forbidden, ObjectNotFound, StorageUnavailable
from service.storage import LocalStore, ObjectStore, S3Store, stored_object
from service.storage.writing import create, remove_empty
from tests.conftest import BUCKET, CREDENTIALS
from tests.systems import need_linux

KEY = "jobs/job_1/1/video.mp4"
KINDS = ("s3", "local")


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param == "s3":
        yield request.getfixturevalue("s3")
    else:
        yield LocalStore(tmp_path, "http://127.0.0.1:1", "for tests alone")


def test_a_stored_object_is_read_back_with_size_type_and_checksum(store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"a video")
    stored = store.put_file(KEY, path, "video/mp4")
    assert store.get_bytes(KEY) == b"a video"
    assert store.head(KEY) == stored
    assert (stored.bytes, stored.content_type) == (7, "video/mp4")
    assert stored.sha256 == hashlib.sha256(b"a video").hexdigest()


def test_an_object_replaces_an_earlier_one_with_its_key(store: ObjectStore) -> None:
    store.put_bytes(KEY, b"first", "text/plain")
    store.put_bytes(KEY, b"the second", "text/plain")
    assert store.get_bytes(KEY) == b"the second"
    found = store.head(KEY)
    assert found is not None
    assert found.bytes == 10


def test_a_missing_object_is_distinguished_from_an_unavailable_storage(store: ObjectStore) -> None:
    assert store.head("no/such/key") is None
    with pytest.raises(ObjectNotFound):
        store.get_bytes("no/such/key")
    store.check()


def test_a_range_beyond_the_end_returns_what_exists(store: ObjectStore) -> None:
    store.put_bytes(KEY, b"0123456789", "text/plain")
    assert store.get_bytes(KEY, 3, 4) == b"3456"
    assert store.get_bytes(KEY, 8, 100) == b"89"
    assert store.get_bytes(KEY, 4) == b"456789"
    assert store.get_bytes(KEY, 4, 0) == b""


def test_a_copy_is_a_separate_object(store: ObjectStore) -> None:
    store.put_bytes(KEY, b"a video", "video/mp4")
    copied = store.copy(KEY, "jobs/job_2/1/video.mp4")
    store.delete(KEY)
    assert store.get_bytes("jobs/job_2/1/video.mp4") == b"a video"
    assert store.head(copied.key) == copied
    assert (copied.sha256, copied.content_type) == (hashlib.sha256(b"a video").hexdigest(), "video/mp4")
    with pytest.raises(ObjectNotFound):
        store.copy(KEY, "jobs/job_3/1/video.mp4")
    assert store.head("jobs/job_3/1/video.mp4") is None


def test_large_files_are_uploaded_and_downloaded_intact(store: ObjectStore, tmp_path: Path) -> None:
    path, back = tmp_path / "large", tmp_path / "back"
    path.write_bytes(bytes(range(256)) * 4096 * 80)
    stored = store.put_file("large", path, "application/octet-stream")
    assert stored.bytes == path.stat().st_size > 64 * 1024 * 1024
    store.get_file("large", back)
    assert back.read_bytes() == path.read_bytes()
    with pytest.raises(ObjectNotFound):
        store.get_file("no/such/key", back)


def test_listing_works_while_objects_are_being_deleted(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, "http://127.0.0.1:1", "for tests alone")
    keys = [f"jobs/job_1/1/{number}" for number in range(300)]
    for key in keys:
        store.put_bytes(key, b"data", "text/plain")
    with ThreadPoolExecutor() as pool:
        listings = [pool.submit(store.list, "jobs/") for _ in range(20)]
        store.delete("jobs/")
        assert all(set(listing.result()) <= set(keys) for listing in listings)
    assert store.list("jobs/") == {}


def test_deleting_from_a_folder_removes_empty_folders_and_nothing_else(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, "http://127.0.0.1:1", "for tests alone")
    for key in ("jobs/job_1/1/video.mp4", "jobs/job_1/2/samples/step-1/a.mp4", "jobs/job_2/1/video.mp4", "inputs/x"):
        store.put_bytes(key, b"data", "text/plain")
    (tmp_path / "data/jobs/job_1/1/.poster.jpg.0123abcd").write_bytes(b"of a writer that was killed")
    store.delete("jobs/job_1/")
    store.delete("inputs/x")
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    files = {"data/jobs/job_2/1/video.mp4", "meta/jobs/job_2/1/video.mp4.json"}
    assert left == files | {parent.as_posix() for each in files for parent in Path(each).parents if parent.name}


def test_an_object_whose_key_tells_its_type_needs_no_metadata_file(tmp_path: Path) -> None:
    store, meta = LocalStore(tmp_path, "http://127.0.0.1:1", "for tests alone"), tmp_path / f"meta/{KEY}.json"
    store.put_bytes(KEY, b"not a video", "text/plain")
    assert meta.is_file()
    store.put_bytes(KEY, b"a video", "video/mp4")
    assert not meta.exists()
    assert store.head(KEY) == stored_object(KEY, b"a video", "video/mp4")


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, "http://127.0.0.1:1", "for tests alone")
    store.put_bytes("sets/a/1", b"data", "text/plain")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(StorageUnavailable):
        store.put_bytes("sets/a", b"a file where a folder is", "text/plain")
    assert set(tmp_path.rglob("*")) == before


def test_a_folder_removed_during_a_write_is_created_again(tmp_path: Path) -> None:
    folder, written = tmp_path / "jobs" / "job_1" / "1", threading.Event()

    def keep_pruning() -> None:
        while not written.is_set():
            remove_empty(folder, tmp_path)

    with ThreadPoolExecutor() as pool:
        pruning = pool.submit(keep_pruning)
        try:
            for _ in range(1000):
                create(folder / "draft", set()).close()
                (folder / "draft").unlink()
        finally:
            written.set()
        pruning.result()
    assert tmp_path.is_dir()


def test_a_power_cut_takes_no_name_of_a_file_that_has_been_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, on_disk = LocalStore(tmp_path, "http://127.0.0.1:1", "for tests alone"), set[tuple[int, str]]()
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        flush(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            on_disk.update((os.fstat(descriptor).st_ino, name) for name in os.listdir(descriptor))

    monkeypatch.setattr(os, "fsync", fsync)
    for key in (KEY, "jobs/job_2/1/video.mp4", "jobs/job_2/1/poster.jpg"):
        store.put_bytes(key, b"a video", mimetypes.guess_type(key)[0] or "")
        path = store.path(key)
        while path != tmp_path:
            assert (path.parent.stat().st_ino, path.name) in on_disk
            path = path.parent


def test_a_listing_may_end_before_it_has_seen_all(store: ObjectStore) -> None:
    for number in range(3):
        store.put_bytes(f"few/{number}", b"a", "text/plain")
    assert len(store.list("few/", most=1)) == 1
    assert len(store.list("few/", most=5)) == 3
    assert store.list("none/", most=1) == {}


def test_listing_and_deleting_cover_exactly_a_prefix(store: ObjectStore) -> None:
    for key in ("sets/a/1", "sets/a/2/x", "sets/ab", "sets/b/1"):
        store.put_bytes(key, key.encode(), "text/plain")
    assert store.list("sets/a/") == {"sets/a/1": 8, "sets/a/2/x": 10}
    assert list(store.list("sets/a")) == ["sets/a/1", "sets/a/2/x", "sets/ab"]
    assert store.list("sets/none/") == {}
    store.delete("sets/a/")
    assert list(store.list("sets/")) == ["sets/ab", "sets/b/1"]
    assert store.head("sets/a/1") is None


def test_a_presigned_s3_url_needs_no_credentials(s3: S3Store) -> None:
    s3.put_bytes(KEY, b"a video", "video/mp4")
    answer = httpx.get(s3.presign(KEY, 60))
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"a video", "video/mp4")
    assert "X-Amz-Signature" in s3.presign(KEY, 60)


def test_a_missing_bucket_and_a_stopped_server_are_unavailable(s3_endpoint: str) -> None:
    with pytest.raises(StorageUnavailable, match="does not exist"):
        S3Store("no-such-bucket", s3_endpoint, "us-east-1", **CREDENTIALS).check()
    with pytest.raises(StorageUnavailable, match="did not respond"):
        S3Store(BUCKET, "http://127.0.0.1:1", "us-east-1", **CREDENTIALS).put_bytes(KEY, b"x", "text/plain")


def test_an_unwritable_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(StorageUnavailable):
        LocalStore(tmp_path, "http://127.0.0.1:1", "key").put_bytes(KEY, b"x", "text/plain")


def test_a_readers_full_disk_is_not_a_storage_failure(tmp_path: Path) -> None:
    need_linux("has a file on which there is never any space left")
    store = LocalStore(tmp_path, "http://127.0.0.1:1", "key")
    store.put_bytes(KEY, b"a video", "video/mp4")
    with pytest.raises(OSError, match="No space left"):
        store.get_file(KEY, Path("/dev/full"))


@pytest.mark.parametrize("key", ["../secret", "a/../../secret", "/etc/passwd", "", "a\0b"])
def test_no_key_reaches_outside_the_folder(tmp_path: Path, key: str) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(ObjectNotFound):
        LocalStore(tmp_path / "store", "http://127.0.0.1:1", "key").get_bytes(key)


def signed(store: LocalStore, key: str, seconds: int) -> tuple[int, str]:
    query = parse_qs(urlsplit(store.presign(key, seconds)).query)
    return int(query["expires"][0]), query["signature"][0]


def test_links_cannot_lead_outside_the_folder(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, "http://api", "secret")
    for key in ("datasets/acme/waves/a.mp4", "datasets/other/waves/theirs.mp4"):
        store.put_bytes(key, b"x", "video/mp4")
    own, others = tmp_path / "data/datasets/acme/waves", tmp_path / "data/datasets/other/waves"
    (own / "again.mp4").symlink_to("a.mp4")
    (own / "stolen.mp4").symlink_to(others / "theirs.mp4")
    (own / "stolen").symlink_to(others, target_is_directory=True)
    (own / "secret.txt").symlink_to("/etc/passwd")
    (own / "circle.mp4").symlink_to("circle.mp4")
    assert set(store.list("datasets/acme/waves/")) <= {
        f"datasets/acme/waves/{name}" for name in ("a.mp4", "again.mp4", "circle.mp4")
    }
    assert {"datasets/acme/waves/a.mp4", "datasets/acme/waves/again.mp4"} <= set(store.list("datasets/acme/waves/"))
    store.delete("datasets/acme/")
    assert list(store.list("datasets/")) == ["datasets/other/waves/theirs.mp4"]


def test_a_local_url_is_valid_only_for_its_key_time_and_signer(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, "http://127.0.0.1:1", "key")
    expires, signature = signed(store, KEY, 60)
    store.verify(KEY, expires, signature)
    for arguments in ((KEY + "x", expires, signature), (KEY, expires + 1, signature), (KEY, expires, "é" + signature)):
        with pytest.raises(Forbidden):
            store.verify(*arguments)
    with pytest.raises(Forbidden):
        LocalStore(tmp_path, "http://127.0.0.1:1", "another key").verify(KEY, expires, signature)
    with pytest.raises(Forbidden, match="expired"):
        store.verify(KEY, *signed(store, KEY, -1))


def test_presigned_urls_use_the_endpoint_that_clients_can_reach(s3_endpoint: str) -> None:
    elsewhere = s3_endpoint.replace("127.0.0.1", "localhost")
    store = S3Store(BUCKET, s3_endpoint, "us-east-1", **CREDENTIALS, public_endpoint_url=elsewhere)
    store.put_bytes(KEY, b"a video", "video/mp4")
    url = store.presign(KEY, 60)
    assert url.startswith(f"{elsewhere}/{BUCKET}/{KEY}?")
    assert httpx.get(url).content == b"a video"
    assert store.presign_put(KEY, "video/mp4", 7, 60).startswith(elsewhere)
