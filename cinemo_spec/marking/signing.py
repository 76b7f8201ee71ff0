"""Signs a file: embeds content credentials, or writes them to a sidecar if the format cannot contain them.

Needs `c2pa-python`, which is optional.
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
"""Formats that cannot contain credentials."""
SIDECAR_TYPE = "application/c2pa"
SETTINGS: dict[str, Any] = {
    # By default, the library would add thumbnails larger than everything else.
    "builder": {"thumbnail": {"enabled": False}},
    "trust": {"trust_config": "\n".join(KEY_USAGES)},
    # A file must not cause requests to other hosts.
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


def library() -> Any:
    """The module `c2pa`, which has no types; raises `SigningUnavailable` if it isn't installed."""
    try:
        import c2pa
    except ImportError as error:
        raise SigningUnavailable(NOT_INSTALLED) from error
    return c2pa


def sign(path: Path, claim: Claim, key: SigningKey) -> Path | None:
    """Embed signed credentials in a file, or write a sidecar and return its path.

    The library validates the result, so a key that readers would reject fails here.

    Raises:
        SigningUnavailable: the key has expired or cannot sign; the file is unchanged.
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
    """The library's signer. The library loses a command's error, so it is also added to `failures`."""
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
