"""The key that this worker signs with, read again for each use, so that it can be replaced without a restart."""

from dataclasses import dataclass

import structlog

from cinemo_spec.errors import SigningUnavailable
from cinemo_spec.marking.keys import KeyMismatch, SigningKey, now
from cinemo_spec.marking.signing import library
from service.contract.environment import SettingsInvalid, read_settings
from service.contract.signing import configured_key
from service.store.workers import WorkerSigning
from worker.app import settings

log = structlog.get_logger()


@dataclass
class KeyReader:
    """Keeps the last valid pair of certificate and key; `mismatched` while only one of them has been replaced."""

    last: SigningKey | None = None
    mismatched: bool = False

    def read(self) -> SigningKey:
        """Read the current key, which must be valid now.

        Certificate and key are two files. While only one of them has been replaced, the last pair is used.

        Raises:
            SigningUnavailable: there is no valid key.
        """
        library()
        try:
            key = self._configured()
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

    def _configured(self) -> SigningKey:
        try:
            return configured_key(read_settings())
        except SettingsInvalid as error:
            raise SigningUnavailable("the settings are no longer valid") from error


keys = KeyReader()


def signing_key() -> SigningKey | None:
    """The signing key; None if signing is off, or optional and unavailable.

    Raises:
        SigningUnavailable: signing is required, and there is no valid key.
    """
    if not settings.signs:
        return None
    try:
        return keys.read()
    except SigningUnavailable as error:
        if settings.marking == "required":
            raise
        log.warning("videos are not signed", error=str(error))
        return None


def signing_state() -> WorkerSigning | None:
    """The key's state for the heartbeat; None if signing is off."""
    if not settings.signs:
        return None
    required = settings.marking == "required"
    try:
        return WorkerSigning(required=required, expires_at=keys.read().expires_at)
    except SigningUnavailable as error:
        return WorkerSigning(required=required, problem=str(error))
