"""`cinemo credentials`: keys for signing videos in development."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from cinemo_spec.marking.development import make_development_key
from cinemo_spec.marking.keys import NOT_INSTALLED, now

CERTIFICATE, KEY, ANCHORS = "cinemo_signing_certificate", "cinemo_signing_key", "anchors.pem"
CLOCK_MINUTES = 5
"""Tolerance for other machines' clocks that are behind."""
UNKNOWN_SIGNER = """
For development only. Other verifiers report that a file is intact but its signer unknown
(signingCredential.untrusted), because its authority is on no trust list. To trust it when you verify:
cinemo verify FILE --trust {anchors}
For users, get a certificate from an authority on the C2PA trust list.
""".strip()

credentials = typer.Typer(no_args_is_help=True, help="Keys that sign videos (C2PA content credentials).")


@credentials.callback()
def group() -> None:
    """Make Typer keep `create` as a subcommand, although it is the only one."""


@credentials.command("create")
def create(
    folder: Annotated[Path, typer.Option(help="Created if it doesn't exist; usually CINEMO_SECRETS_FOLDER.")],
    name: Annotated[str, typer.Option(help="Shown as the signer.")] = "Cinemo development",
    days: Annotated[int, typer.Option(min=1, max=3650, help="Validity of the certificate.")] = 90,
) -> None:
    """Create a certificate and a key for development, signed by an authority that only you trust."""
    files = {each: folder / each for each in (CERTIFICATE, KEY, ANCHORS)}
    if existing := [str(path) for path in files.values() if path.exists()]:
        typer.echo(f"error: {', '.join(existing)} exists; remove it first to replace the key", err=True)
        raise typer.Exit(1)
    try:
        made = make_development_key(name, now() - timedelta(minutes=CLOCK_MINUTES), days)
    except ImportError as error:
        typer.echo(f"error: {NOT_INSTALLED}; workers have it", err=True)
        raise typer.Exit(1) from error
    folder.mkdir(parents=True, exist_ok=True)
    write(files[CERTIFICATE], made.chain, 0o444)
    write(files[KEY], made.private_key, 0o440)
    write(files[ANCHORS], made.anchor, 0o444)
    typer.echo(f"wrote {', '.join(map(str, files.values()))}; valid for {days} days")
    typer.echo(UNKNOWN_SIGNER.format(anchors=files[ANCHORS]))


def write(path: Path, text: str, mode: int) -> None:
    """Create a file with this mode from the start, so that nobody else can ever read it."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
