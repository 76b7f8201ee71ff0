"""`cinemo`: the administration of the service, and the doctor, which looks beyond it."""

from deploy.doctor.command import doctor
from service.cli import app

__all__ = ["app"]

app.command("doctor")(doctor)

if __name__ == "__main__":
    app()
