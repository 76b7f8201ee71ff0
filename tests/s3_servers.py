"""S3-compatible servers that differ from S3 like real ones: a real server behind the differences."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.conftest import BUCKET
from tests.http_servers import serving

HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "server", "date", "expect"}


@dataclass(frozen=True)
class Call:
    """A request that the server received."""

    method: str
    path: str
    host: str
    headers: dict[str, str]
    body: bytes

    @property
    def deletes_many(self) -> bool:
        return self.method == "POST" and "delete" in parse_qs(urlsplit(self.path).query, keep_blank_values=True)


Refusal = tuple[int, str]
Judge = Callable[[Call], Refusal | str]
"""Refuses a call, or says by which path the real server knows it."""


Rewrite = Callable[[dict[str, str]], dict[str, str]]
"""Changes the headers of an answer."""


def wants_md5(call: Call) -> Refusal | str:
    digest = base64.b64encode(hashlib.md5(call.body).digest()).decode()
    return (400, "MissingContentMD5") if call.deletes_many and call.headers.get("content-md5") != digest else call.path


def deletes_one_by_one(call: Call) -> Refusal | str:
    return (501, "NotImplemented") if call.deletes_many else call.path


def only_says_that_it_deletes(call: Call) -> Refusal | str:
    return (200, "Fine") if call.deletes_many else call.path


def deletes_nothing(call: Call) -> Refusal | str:
    return (403, "AccessDenied") if call.deletes_many or call.method == "DELETE" else call.path


def is_below_a_path(call: Call) -> Refusal | str:
    path = call.path.removeprefix("/storage/s3")
    return path if path != call.path else (404, "NotFound")


def redirects_all(call: Call) -> Refusal | str:
    """As a proxy that wants TLS does, whatever is asked."""
    return 301, "PermanentRedirect"


def is_as_it_is(call: Call) -> Refusal | str:
    return call.path


def is_virtual_hosted(call: Call) -> Refusal | str:
    return f"/{BUCKET}{call.path}" if call.host.startswith(f"{BUCKET}.") else (400, "SecondLevelDomainForbidden")


def handler(upstream: str, judge: Judge, rewrite: Rewrite) -> type[BaseHTTPRequestHandler]:
    server = urlsplit(upstream)

    class Handler(BaseHTTPRequestHandler):
        def carry_out(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            judged = judge(Call(self.command, self.path, headers.get("host", ""), headers, body))
            if isinstance(judged, tuple):
                status, code = judged
                self.answer(status, {}, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())
                return
            kept = {name: value for name, value in headers.items() if name not in HOP_BY_HOP | {"host"}}
            connection = HTTPConnection(str(server.hostname), server.port, timeout=60)
            connection.request(self.command, judged, body, {**kept, "content-length": str(len(body))})
            answer = connection.getresponse()
            self.answer(answer.status, rewrite(dict(answer.getheaders())), answer.read())
            connection.close()

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
            for name, value in headers.items():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = carry_out

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    return Handler


def unchanged(headers: dict[str, str]) -> dict[str, str]:
    return headers


def in_capitals(headers: dict[str, str]) -> dict[str, str]:
    """As proxies written in Go send them."""
    return {"-".join(map(str.capitalize, name.split("-"))): value for name, value in headers.items()}


def with_charset(headers: dict[str, str]) -> dict[str, str]:
    return {name: f"{value}; charset=utf-8" if name == "Content-Type" else value for name, value in headers.items()}


@contextmanager
def s3_server(upstream: str, judge: Judge, rewrite: Rewrite = unchanged) -> Iterator[int]:
    """The port of such a server, which runs until the context exits."""
    with serving(handler(upstream, judge, rewrite)) as port:
        yield port
