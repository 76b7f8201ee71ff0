"""Slow picture servers delay only their own tenant, and take nobody else's threads."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from tests.conftest import Api, api_running
from tests.integration.isolation.wire import health_seconds

SLOW = 60
"""More than there are threads that all requests share."""


@contextmanager
def asking_slow_servers(api: Api) -> Iterator[None]:
    """Requests for pictures on a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as pit:
        url = f"http://127.0.0.1:{pit.getsockname()[1]}/photo.jpg"

        def ask() -> None:
            with suppress(httpx.HTTPError):
                httpx.post(f"{api.url}/animate", json={"prompt": "waves", "image_url": url}, timeout=2)

        asking = [threading.Thread(target=ask) for _ in range(SLOW)]
        for each in asking:
            each.start()
        yield
        for each in asking:
            each.join()


@pytest.fixture(scope="module")
def fetching(redis_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    changes = {"CINEMO_OUTBOUND_ALLOWED_NETWORKS": '["127.0.0.0/8"]'}
    with api_running(tmp_path_factory.mktemp("fetching"), redis_port, changes) as api:
        yield api


def test_slow_picture_servers_delay_no_other_request(fetching: Api, photo: bytes) -> None:
    with asking_slow_servers(fetching):
        for path in ("/readyz", "/healthz", "/jobs", "/metrics") * 3:
            assert health_seconds(fetching, path) < 5
        sent = httpx.post(f"{fetching.url}/animate", data={"prompt": "waves"}, files={"image": photo}, timeout=30)
        assert sent.status_code == 202
