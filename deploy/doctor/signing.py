"""Checks of the key that signs videos, in workers, and of the state that workers report of theirs."""

import tempfile
import time
from pathlib import Path

from PIL import Image

from cinemo_spec.errors import SigningUnavailable
from cinemo_spec.marking.claim import Claim, Ingredient
from cinemo_spec.marking.keys import now
from cinemo_spec.marking.signing import sign
from cinemo_spec.marking.statement import SourceType
from deploy.doctor.context import Context
from deploy.doctor.device import has_torch
from deploy.doctor.result import CheckResult, failure, ok, skipped, warning
from service.contract.signing import configured_key
from service.store.workers import WorkerRegistry, signing_of

EXPIRY_WARNING_DAYS = 30
TRIAL = Claim(SourceType.CREATED, "none", "none", "none", now(), Ingredient("photo", "image/jpeg", None))
PAGE = "docs/marking.md#keys"
RENEW = f"renew CINEMO_SIGNING_CERTIFICATE and its key, which needs no restart: {PAGE}"
SIGNING_OFF = ok("signing is off; to sign videos, set CINEMO_MARKING to signed or required")


def key(context: Context) -> CheckResult:
    """Sign a one-pixel picture like a video; the library verifies the result."""
    settings = context.settings
    if not settings.signs:
        return SIGNING_OFF
    if not has_torch():
        return skipped("videos are signed by workers; run `cinemo doctor` in one, too")
    started = time.monotonic()
    try:
        signing = configured_key(settings)
        with tempfile.TemporaryDirectory(prefix="cinemo-") as folder:
            picture = Path(folder, "poster.jpg")
            Image.new("RGB", (1, 1)).save(picture)
            sign(picture, TRIAL, signing)
    except SigningUnavailable as error:
        return failure(str(error), RENEW)
    milliseconds = 1000 * (time.monotonic() - started)
    days = (signing.expires_at - now()).days
    message = f"{signing.signer}, by {signing.issuer}, signs in {milliseconds:.0f} ms; valid for {days} more days"
    return warning(message, RENEW) if days < EXPIRY_WARNING_DAYS else ok(message)


def workers(context: Context) -> CheckResult:
    """Whether all live workers can sign."""
    if not context.settings.signs:
        return SIGNING_OFF
    signers = signing_of(WorkerRegistry(context.redis).live())
    problems = [each.problem for each in signers if each.problem]
    if problems:
        message = f"{len(problems)} of {len(signers)} workers cannot sign: {problems[0]}"
        return failure(message, f"run `cinemo doctor` in one; {PAGE}")
    return ok(f"workers that sign: {len(signers)}")
