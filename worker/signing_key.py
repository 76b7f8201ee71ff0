"""The key that this worker signs with, read anew at each use, so that it can be replaced under a running worker."""

from dataclasses import dataclass

import structlog
from pydantic import ValidationError

from cinemo_spec.errors import SigningUnavailable
from cinemo_spec.marking.keys import KeyMismatch, SigningKey, now, read_key
from cinemo_spec.marking.signing import library
from service.contract.settings import Settings
from service.store.workers import WorkerSigning
from worker.app import settings

log = structlog.get_logger()


@dataclass
class KeyReader:
    """Keeps the last key that was whole; `mismatched` while another one is half there."""

    last: SigningKey | None = None
    mismatched: bool = False

    def read(self) -> SigningKey:
        """The key as it is now, valid now.

        Certificate and key are two files. Where one was replaced a moment before the other, the last key still counts.

        Raises:
            SigningUnavailable: there is none to sign with.
        """
        library()
        try:
            key = self._given()
        except KeyMismatch as error:
            if self.last is None:
                raise
            if not self.mismatched:
                log.warning("signing with the last key", error=str(error))
            self.mismatched, key = True, self.last
        else:
            self.mismatched = False
        key.require_valid(now())
        self.last = key
        return key

    def _given(self) -> SigningKey:
        try:
            given = Settings()
        except ValidationError as error:
            raise SigningUnavailable("the settings can no longer be read") from error
        secret = given.signing_key.get_secret_value() if given.signing_key else None
        return read_key(given.signing_certificate, secret, given.signing_command)


keys = KeyReader()


def signing_key() -> SigningKey | None:
    """What to sign with; None where nothing is to be signed, or can't be and need not.

    Raises:
        SigningUnavailable: it can't be, and nothing may be delivered unsigned.
    """
    if settings.marking not in ("signed", "required"):
        return None
    try:
        return keys.read()
    except SigningUnavailable as error:
        if settings.marking == "required":
            raise
        log.warning("videos are not signed", error=str(error))
        return None


def signing_state() -> WorkerSigning | None:
    """What the heartbeat tells of it; None where nothing is to be signed."""
    if settings.marking not in ("signed", "required"):
        return None
    required = settings.marking == "required"
    try:
        return WorkerSigning(required=required, expires_at=keys.read().expires_at)
    except SigningUnavailable as error:
        return WorkerSigning(required=required, problem=str(error))
