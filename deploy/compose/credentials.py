"""Creates the S3 server's access key on the first start, so that the repository contains none."""

import json
import secrets
from pathlib import Path
from typing import Annotated

import typer

KEY_ID, SECRET = "cinemo_s3_access_key_id", "cinemo_s3_secret_access_key"
IDENTITIES = "s3.json"
ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


def make_credentials(
    service: Annotated[Path, typer.Option("--secrets", help="Folder for the service: one file per setting.")],
    s3: Annotated[Path, typer.Option(help="Folder for the S3 server's list of identities.")],
) -> None:
    """Create the credentials that the service and the S3 server share; keep those that exist."""
    key = {"accessKey": read_or_create(service / KEY_ID, 10), "secretKey": read_or_create(service / SECRET, 20)}
    identity = {"name": "cinemo", "credentials": [key], "actions": ACTIONS}
    # Readable by all, because the server runs as another user; only it mounts this volume.
    write(s3 / IDENTITIES, json.dumps({"identities": [identity]}), mode=0o444)


def read_or_create(path: Path, random_bytes: int) -> str:
    """A file's text; created at random if the file does not exist."""
    if not path.exists():
        write(path, secrets.token_hex(random_bytes), mode=0o440)
    return path.read_text()


def write(path: Path, text: str, mode: int) -> None:
    """Write a file atomically."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)


if __name__ == "__main__":
    typer.run(make_credentials)
