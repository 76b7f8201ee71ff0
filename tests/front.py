"""What stands in front of an API in production: a proxy below a path, with a timeout for the first byte."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.http_servers import serving

NOT_PASSED_ON = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}


def handler(upstream: str, path: str, patience_seconds: float) -> type[BaseHTTPRequestHandler]:
    server = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            """Forward without the path, with headers that state TLS outside, like nginx and balancers."""
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_PASSED_ON}
            headers |= {"X-Forwarded-Proto": "https", "Content-Length": str(len(body))}
            connection = HTTPConnection(str(server.hostname), server.port, timeout=patience_seconds)
            try:
                connection.request(self.command, self.path.removeprefix(path), body, headers)
                self.answer(connection.getresponse())
            except TimeoutError:
                self.send_error(504)
            finally:
                connection.close()

        def answer(self, answer: HTTPResponse) -> None:
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in NOT_PASSED_ON - {"content-length"}:
                    self.send_header(name, value)
            self.end_headers()
            while piece := answer.read1():
                self.wfile.write(piece)

        do_GET = do_HEAD = do_POST = do_DELETE = do_OPTIONS = pass_on

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    return Handler


@contextmanager
def front(upstream: str, port: int, path: str, patience_seconds: float) -> Iterator[str]:
    """The proxy's URL with its path; runs until the context exits."""
    with serving(handler(upstream, path, patience_seconds), port=port):
        yield f"http://127.0.0.1:{port}{path}"
