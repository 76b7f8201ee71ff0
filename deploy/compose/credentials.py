"""Makes the S3 server's access key on the first start, so that no file of the repository holds one; keeps it later."""

import argparse
import json
import secrets
from pathlib import Path

KEY_ID, SECRET = "cinemo_s3_access_key_id", "cinemo_s3_secret_access_key"
IDENTITIES = "s3.json"
ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]


def main() -> None:
    """Fill the folders, each a volume that only those mount who need it."""
    parser = argparse.ArgumentParser(description="Create the credentials that the services share.")
    parser.add_argument("--secrets", type=Path, required=True, help="Folder for the service: one file per setting.")
    parser.add_argument("--s3", type=Path, required=True, help="File for the S3 server: its list of identities.")
    arguments = parser.parse_args()
    make_credentials(arguments.secrets, arguments.s3)


def make_credentials(service: Path, s3: Path) -> None:
    """Write both sides' files; what is there stays, and a start that was cut short is made good."""
    key = {"accessKey": kept(service / KEY_ID, 10), "secretKey": kept(service / SECRET, 20)}
    identity = {"name": "cinemo", "credentials": [key], "actions": ACTIONS}
    # The server runs as a user of its own.
    write(s3 / IDENTITIES, json.dumps({"identities": [identity]}), mode=0o444)


def kept(path: Path, random_bytes: int) -> str:
    """What a file says, made at random if it is not there."""
    if not path.exists():
        write(path, secrets.token_hex(random_bytes), mode=0o440)
    return path.read_text()


def write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(mode)
    new.replace(path)


if __name__ == "__main__":
    main()
