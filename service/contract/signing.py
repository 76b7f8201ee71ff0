"""The signing key in the settings, for workers, and for the doctor, which tries it."""

from cinemo_spec.marking.keys import SigningKey, read_key
from service.contract.settings import Settings


def configured_key(settings: Settings) -> SigningKey:
    """Read the certificate with its key or command.

    Raises:
        KeyMismatch, SigningUnavailable: as `read_key`.
    """
    private_key = settings.signing_key.get_secret_value() if settings.signing_key else None
    return read_key(settings.signing_certificate, private_key, settings.signing_command)
