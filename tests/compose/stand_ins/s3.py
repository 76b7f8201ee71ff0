"""Stands in for the S3 server: moto over a socket, with a health check and a file that persists its data.

Takes the real one's arguments and looks at none of them.
"""

import pickle
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

PORT = 8333
SAVED = Path("/data/saved.pickle")
COPIED = ("ContentType", "Metadata")


def client() -> Any:
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{PORT}", region_name="us-east-1", **keys)


def save() -> None:
    """Write all buckets and objects to the file."""
    s3 = client()
    buckets = [each["Name"] for each in s3.list_buckets()["Buckets"]]
    saved: dict[str, dict[str, dict[str, Any]]] = {}
    for bucket in buckets:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        saved[bucket] = {}
        for key in keys:
            found = s3.get_object(Bucket=bucket, Key=key)
            saved[bucket][key] = {"Body": found["Body"].read(), **{name: found[name] for name in COPIED}}
    SAVED.write_bytes(pickle.dumps(saved))


def load() -> None:
    """Restore what was saved."""
    if SAVED.exists():
        s3 = client()
        for bucket, objects in pickle.loads(SAVED.read_bytes()).items():
            s3.create_bucket(Bucket=bucket)
            for key, parts in objects.items():
                s3.put_object(Bucket=bucket, Key=key, **parts)


def with_health(app: Callable[..., Iterable[bytes]], ready: list[bool]) -> Callable[..., Iterable[bytes]]:
    """Answer `/healthz` beside S3's own calls, once the data is restored."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            return app(environ, start_response)
        start_response("200 OK" if ready else "503 Service Unavailable", [("Content-Length", "0")])
        return []

    return answer


def main() -> None:
    """Serve until SIGTERM, then save."""
    ready: list[bool] = []
    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("0.0.0.0", PORT, with_health(app, ready), threaded=True)
    serving = Thread(target=server.serve_forever)
    serving.start()
    load()
    ready.append(True)
    print("serving", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    save()
    server.shutdown()
    serving.join()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
