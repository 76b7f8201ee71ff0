"""The command `cinemo`: administration of the service, `credentials`, `doctor`, `mcp`, and `verify`."""

from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from cinemo_spec.marking.verify import Finding, verifier
from deploy.credentials import credentials
from deploy.doctor.command import doctor
from service.cli import app

__all__ = ["app"]


def watermark(file: Path) -> Iterator[Finding]:
    """Report a file's watermark, if the model library is installed, as on workers."""
    if find_spec("cinemo_core") is None:
        yield Finding("watermark", "not checked, because cinemo-core isn't installed")
        return
    from cinemo_core.watermark.verify import watermark as read

    yield from read(file)


app.add_typer(credentials, name="credentials")
app.command("doctor")(doctor)
app.command("verify")(verifier(watermark))
with suppress(ModuleNotFoundError):  # where the client isn't installed, as in the images: see docs/howto/mcp.md
    from cinemo_client.mcp.command import serve

    app.command("mcp")(serve)

if __name__ == "__main__":
    app()
