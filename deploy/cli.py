"""The command `cinemo`: administration of the service, `credentials`, `doctor`, and `verify`, which reads marks."""

from cinemo_spec.marking.verify import verify
from deploy.credentials import credentials
from deploy.doctor.command import doctor
from service.cli import app

__all__ = ["app"]

app.add_typer(credentials, name="credentials")
app.command("doctor")(doctor)
app.command("verify")(verify)

if __name__ == "__main__":
    app()
