"""The HTTP servers that stand in for others' in tests."""

from http.server import BaseHTTPRequestHandler

import httpx
import pytest

from tests.http_servers import serving


@pytest.mark.parametrize("error", [BrokenPipeError, ConnectionResetError, ZeroDivisionError])
def test_a_server_prints_its_errors_but_not_that_a_client_has_gone(
    capfd: pytest.CaptureFixture[str], error: type[Exception]
) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            raise error

    # The connection is closed after the error has been handled.
    with serving(Handler) as port, pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://127.0.0.1:{port}")
    assert (error.__name__ in capfd.readouterr().err) is (error is ZeroDivisionError)
