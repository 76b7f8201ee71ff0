"""Signs a file: its content credentials go into it or, where its format has no place for them, beside it.

The library is `c2pa-python`, which is there only where files are signed.
"""

import io
from pathlib import Path
from typing import Any

from cinemo_spec.errors import SigningUnavailable
from cinemo_spec.marking.claim import Claim
from cinemo_spec.marking.keys import KEY_USAGES, NOT_INSTALLED, SigningKey, now, sign_by_command

CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
}
NO_PLACE = {".webm"}
"""Formats that C2PA has no place in."""
SIDECAR_TYPE = "application/c2pa"
SETTINGS: dict[str, Any] = {
    # Of its own accord the library would add pictures that are larger than all else.
    "builder": {"thumbnail": {"enabled": False}},
    "trust": {"trust_config": "\n".join(KEY_USAGES)},
    # A file under examination must not make this machine call others.
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


def library() -> Any:
    """`c2pa`, which has no types; raises `SigningUnavailable` where it isn't installed."""
    try:
        import c2pa
    except ImportError as error:
        raise SigningUnavailable(NOT_INSTALLED) from error
    return c2pa


def sign(path: Path, claim: Claim, key: SigningKey) -> Path | None:
    """Put signed credentials into a file; returns the sidecar that they were written to instead, if so.

    The library checks what it has signed: a key that readers would refuse is refused here.

    Raises:
        SigningUnavailable: the key is out of date, or cannot sign this; the file is as it was.
    """
    c2pa = library()
    key.require_valid(now())
    beside = path.suffix.lower() in NO_PLACE
    signed, failures = path.with_name(f"{path.name}.signed"), list[SigningUnavailable]()
    try:
        with (
            signer_of(c2pa, key, failures) as signer,
            c2pa.Settings.from_dict(SETTINGS) as settings,
            c2pa.Context(settings, signer) as context,
            c2pa.Builder(claim.manifest(), context) as builder,
            path.open("rb") as before,
            signed.open("w+b") as after,
        ):
            for ingredient in claim.ingredients:
                if ingredient.thumbnail:
                    builder.add_resource(ingredient.resource, io.BytesIO(ingredient.thumbnail))
            if beside:
                builder.set_no_embed()
            manifest = builder.sign(CONTENT_TYPES[path.suffix.lower()], before, after)
    except c2pa.C2paError as error:
        signed.unlink(missing_ok=True)
        raise (failures[0] if failures else SigningUnavailable(f"the file cannot be signed: {error}")) from error
    if beside:
        signed.unlink()
        sidecar = path.with_suffix(".c2pa")
        sidecar.write_bytes(manifest)
        return sidecar
    signed.replace(path)
    return None


def signer_of(c2pa: Any, key: SigningKey, failures: list[SigningUnavailable]) -> Any:
    """The library's signer. It tells only that a command failed, so what failed goes to `failures`."""
    if key.private_key:
        info = c2pa.C2paSignerInfo(key.algorithm.encode(), key.chain.encode(), key.private_key.encode(), None)
        return c2pa.Signer.from_info(info)

    def signature(data: bytes) -> bytes:
        try:
            return sign_by_command(key, data)
        except SigningUnavailable as error:
            failures.append(error)
            raise

    return c2pa.Signer.from_callback(signature, c2pa.C2paSigningAlg[key.algorithm.upper()], key.chain)
