"""`cinemo`: the administration of the service, the doctor, which looks beyond it, and what a file says of itself."""

from cinemo_spec.marking.verify import verify
from deploy.doctor.command import doctor
from service.cli import app

__all__ = ["app"]

app.command("doctor")(doctor)
app.command("verify")(verify)

if __name__ == "__main__":
    app()
