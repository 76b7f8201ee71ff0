"""The command `cinemo`: administration of the service, `doctor`, and `verify`, which reads a file's marking."""

from cinemo_spec.marking.verify import verify
from deploy.doctor.command import doctor
from service.cli import app

__all__ = ["app"]

app.command("doctor")(doctor)
app.command("verify")(verify)

if __name__ == "__main__":
    app()
