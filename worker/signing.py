"""Signs a job's files after they are written and before they are stored, so that checksums match what is delivered."""

import io
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from cinemo_spec.errors import SigningUnavailable
from cinemo_spec.marking.claim import Claim, Ingredient
from cinemo_spec.marking.keys import SigningKey, now
from cinemo_spec.marking.signing import sign
from service.contract.problems import ObjectNotFound
from service.contract.record import Job, Signing
from service.contract.requests import AnimateRequest, ClipRequest, EditRequest
from service.observability.tracing import span
from service.storage import ObjectStore
from worker.app import settings
from worker.encode import Encoded
from worker.inputs import read_photo
from worker.run import milliseconds_since
from worker.signing_key import keys

log = structlog.get_logger()

THUMBNAIL_SIDE = 256


@dataclass(frozen=True)
class Signed:
    """`sidecar` contains the credentials of a video that can't contain them; `signing` is None if signing is off."""

    signing: Signing | None = None
    sidecar: Path | None = None
    milliseconds: int = 0


def sign_files(job: Job, model_revision: str, encoded: Encoded, storage: ObjectStore) -> Signed:
    """Sign video, poster and sprite sheet, all or none, if signing is on.

    Raises:
        SigningUnavailable: signing failed and is required.
    """
    if not settings.signs:
        return Signed()
    started = time.monotonic()
    try:
        with span("sign"):
            key = keys.read()
            claim = claim_of(job, model_revision, encoded, storage)
            sidecar = sign_all(encoded, claim, key)
    except SigningUnavailable as error:
        if settings.marking == "required":
            raise
        log.warning("files are not signed", error=str(error))
        return Signed(Signing(signed=False, error=str(error)), None, milliseconds_since(started))
    return Signed(Signing(signed=True, signer=key.signer, job=job.id), sidecar, milliseconds_since(started))


def sign_all(encoded: Encoded, claim: Claim, key: SigningKey) -> Path | None:
    """Sign copies, and replace the files once all are signed; returns the video's sidecar."""
    files = (encoded.video, encoded.poster, encoded.spritesheet)
    folder = encoded.video.with_name("signed")
    folder.mkdir()
    signed = [folder / file.name for file in files]
    for file, copy in zip(files, signed, strict=True):
        copy.hardlink_to(file)
    video_sidecar, *_ = (sign(copy, claim, key) for copy in signed)
    for file, copy in zip(files, signed, strict=True):
        copy.replace(file)
    return video_sidecar


def claim_of(job: Job, model_revision: str, encoded: Encoded, storage: ObjectStore) -> Claim:
    """What is signed about a job: only the photo's hash, and no prompt, unless the settings allow more."""
    request = job.request
    assert isinstance(request, AnimateRequest | EditRequest)
    assert encoded.source is not None
    assert job.input_key is not None
    prompts = (request.prompt,) if isinstance(request.prompt, str) else request.prompt
    thumbnail = make_thumbnail(job) if settings.signing_include_photo else None
    return Claim(
        source=encoded.source,
        model=name_of(request),
        revision=model_revision,
        job=job.id,
        made_at=now(),
        photo=ingredient("photo", job.input_key, storage, thumbnail),
        video=ingredient("video", job.video_key, storage) if job.video_key else None,
        prompts=prompts if settings.signing_include_prompt else (),
    )


def name_of(request: ClipRequest) -> str:
    """The model of a request with its adapters and their weights."""
    return " + ".join([request.model, *(f"{each.weight:g} {each.model}" for each in request.adapters)])


def ingredient(title: str, key: str, storage: ObjectStore, thumbnail: bytes | None = None) -> Ingredient:
    """A stored input of the job; raises `ObjectNotFound` if it has been deleted."""
    stored = storage.head(key)
    if stored is None:
        raise ObjectNotFound(f"{key} is no longer in storage")
    return Ingredient(title, stored.content_type, stored.sha256 or None, thumbnail)


def make_thumbnail(job: Job) -> bytes:
    """The job's photo as a small JPEG."""
    photo, file = read_photo(job), io.BytesIO()
    photo.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    photo.convert("RGB").save(file, "JPEG", quality=80)
    return file.getvalue()
