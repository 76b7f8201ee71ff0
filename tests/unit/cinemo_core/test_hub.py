"""Hub repositories with the real client: from its cache offline, and the hub's errors as one clear error."""

import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

from cinemo_core import CheckpointError, CinemoPipeline
from cinemo_core.checkpoint import hub_files, locate, revision
from cinemo_spec.card import Base
from tests.adapters import random_adapter
from tests.processes import PYTHON

NAME = "maxin-cn/Cinemo"
COMMIT = "c8ea4d1359bbbe38f15adb05d41c334aff029969"
SCRIPT = f"""
from cinemo_core import CinemoPipeline
pipe = CinemoPipeline.from_pretrained("{NAME}")
print(pipe.card.name, pipe.revision, type(pipe.vae).__name__)
"""


class Asked(NamedTuple):
    """A request to the hub."""

    path: str
    authorization: str | None


@pytest.fixture
def adapter(tmp_path: Path, official: Path) -> Path:
    """An adapter whose base is on the hub."""
    return random_adapter(tmp_path / "adapter", official, card={"base": Base(NAME, revision(official))})


@pytest.fixture
def cache(tmp_path: Path, official: Path) -> Path:
    """The cache that the hub's client creates: a reference to a commit, its snapshot of links, and the files."""
    folder = tmp_path / "hub"
    repository = folder / "models--maxin-cn--Cinemo"
    snapshot = repository / "snapshots" / COMMIT
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    for number, path in enumerate(path for path in official.rglob("*") if path.is_file()):
        blob, link = repository / "blobs" / f"{number:064x}", snapshot / path.relative_to(official)
        for parent in (blob.parent, link.parent):
            parent.mkdir(parents=True, exist_ok=True)
        blob.symlink_to(path)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return folder


@pytest.fixture
def refusing_hub(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Asked]]:
    """A server in place of the hub that answers everything with one status and error code, and an empty cache; yields
    what it is asked."""
    status, code = request.param
    asked: list[Asked] = []

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(Asked(self.path, self.headers["authorization"]))
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield asked
        server.shutdown()
        thread.join()


def test_a_cached_repository_loads_offline_and_silently(cache: Path, official: Path) -> None:
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([PYTHON, "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.split() == [NAME, revision(official), "AutoencoderKLTemporalDecoder"]


def test_offline_and_uncached_the_error_names_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=f"{NAME} cannot be downloaded from the hub"):
        locate(NAME)


@pytest.mark.usefixtures("refusing_hub")
@pytest.mark.parametrize(
    "refusing_hub",
    [(404, "RepoNotFound"), (403, "GatedRepo"), (401, ""), (500, "")],
    indirect=True,
    ids=["not found", "gated", "private", "broken"],
)
def test_the_error_names_what_the_hub_does_not_provide() -> None:
    with pytest.raises(CheckpointError, match=f"{NAME} cannot be downloaded from the hub"):
        locate(NAME)


@pytest.mark.parametrize("name", ["a b/c", "owner/na..me"])
def test_a_name_that_is_impossible_on_the_hub_is_rejected(name: str) -> None:
    with pytest.raises(CheckpointError, match="cannot be downloaded from the hub"):
        locate(name)


def test_only_used_files_are_fetched(official: Path) -> None:
    used = {path.relative_to(official).as_posix() for path in official.rglob("*") if path.is_file()}
    others = {
        "README.md",
        "cinemo.pt",
        "model_index.json",
        "safety_checker/pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.bin",
        "visuals/animations/aircraft.gif",
    }
    fetched = set(filter_repo_objects(sorted(used | others), allow_patterns=hub_files()))
    assert fetched == used - others


def test_a_commit_can_be_pinned(cache: Path) -> None:
    snapshot = locate(NAME, revision=COMMIT, cache_dir=cache, local_files_only=True)
    assert snapshot.name == COMMIT
    with pytest.raises(CheckpointError, match="cannot be downloaded from the hub"):
        locate(NAME, revision="0" * 40, cache_dir=cache, local_files_only=True)


def test_an_adapters_base_is_looked_for_where_the_adapter_would_be(adapter: Path, cache: Path) -> None:
    pipe = CinemoPipeline.from_pretrained(adapter, revision="v2", cache_dir=cache, local_files_only=True)
    assert (pipe.card.name, pipe.card.base) == ("adapter", Base(NAME, pipe.pin))


@pytest.mark.parametrize("refusing_hub", [(403, "GatedRepo")], indirect=True)
def test_the_hub_is_asked_for_an_adapters_base_with_the_callers_token(adapter: Path, refusing_hub: list[Asked]) -> None:
    with pytest.raises(CheckpointError, match=f"{NAME} cannot be downloaded from the hub"):
        CinemoPipeline.from_pretrained(adapter, token="hf_callers")
    assert refusing_hub
    assert {asked.authorization for asked in refusing_hub} == {"Bearer hf_callers"}
    assert all(asked.path.startswith(f"/api/models/{NAME}/revision/main") for asked in refusing_hub)
