"""Reads the signing key: a certificate chain, with a private key or a command that signs.

Needs `cryptography`, which is optional and imported only when a key is read.
"""

import hashlib
import shlex
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cinemo_spec.errors import SigningUnavailable

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes

COMMAND_SECONDS = 30.0
MIN_RSA_BITS = 2048
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
COORDINATE_BYTES = {"es256": 32, "es384": 48, "es512": 66}
CLAIM_SIGNING = "1.3.6.1.4.1.62558.2.1"
EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4"
DOCUMENT_SIGNING = "1.3.6.1.5.5.7.3.36"
KEY_USAGES = (CLAIM_SIGNING, EMAIL_PROTECTION, DOCUMENT_SIGNING)
"""Extended key usages, one of which a signer's certificate must have: C2PA's own, and its predecessors."""
NOT_INSTALLED = "c2pa-python is not installed; it comes with cinemo[signing]"


class KeyMismatch(SigningUnavailable):
    """The private key does not belong to the certificate; one may have been replaced just before the other."""


@dataclass(frozen=True)
class SigningKey:
    """A certificate chain and the means to sign with it: `private_key` or `command`.

    Attributes:
        chain: in PEM, the signer's certificate first.
        algorithm: C2PA's name for it.
        begins_at: when the last certificate becomes valid.
        expires_at: when the first certificate expires.
        private_key: PKCS #8 in PEM.
        command: reads the bytes to sign, and writes the signature.
    """

    chain: str = field(repr=False)
    algorithm: str
    signer: str
    issuer: str
    begins_at: datetime
    expires_at: datetime
    private_key: str | None = field(default=None, repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the chain."""
        return hashlib.sha256(self.chain.encode()).hexdigest()

    def require_valid(self, now: datetime) -> None:
        """Raise `SigningUnavailable` outside the certificates' validity period."""
        if now >= self.expires_at:
            raise SigningUnavailable(f"the signing certificate expired at {self.expires_at.isoformat()}")
        if now < self.begins_at:
            raise SigningUnavailable(f"the signing certificate is not valid before {self.begins_at.isoformat()}")


def read_key(certificate: str | None, private_key: str | None, command: str | None) -> SigningKey:
    """Read a key from PEM text, or from PEM text and a command.

    Raises:
        KeyMismatch: the private key belongs to another certificate.
        SigningUnavailable: something is missing or cannot be read.
    """
    if not certificate:
        raise SigningUnavailable("there is no signing certificate")
    if bool(private_key) == bool(command):
        raise SigningUnavailable("there must be either a signing key or a signing command")
    try:
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.x509.oid import NameOID
    except ImportError as error:
        raise SigningUnavailable(NOT_INSTALLED) from error
    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
        public = chain[0].public_key()
        words = tuple(shlex.split(command)) if command else ()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SigningUnavailable(f"the signing certificate, in PEM, or command cannot be read: {error}") from error
    require_usage(chain[0])

    def name(of: "x509.Name") -> str:
        found = [*of.get_attributes_for_oid(NameOID.COMMON_NAME), *of.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
        return str(found[0].value) if found else of.rfc4514_string()

    return SigningKey(
        chain=certificate,
        algorithm=algorithm_of(public),
        signer=name(chain[0].subject),
        issuer=name(chain[0].issuer),
        begins_at=max(each.not_valid_before_utc for each in chain),
        expires_at=min(each.not_valid_after_utc for each in chain),
        private_key=matching(private_key, public) if private_key else None,
        command=words,
    )


def require_usage(certificate: "x509.Certificate") -> None:
    """Raise `SigningUnavailable` for a certificate without a usage that C2PA readers accept."""
    from cryptography import x509

    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        usages = x509.ExtendedKeyUsage([])
    if not any(each.dotted_string in KEY_USAGES for each in usages):
        raise SigningUnavailable(f"the signing certificate lacks C2PA's extended key usage, {CLAIM_SIGNING}")


def algorithm_of(public: "CertificatePublicKeyTypes") -> str:
    """C2PA's name of the algorithm for a key; raises `SigningUnavailable` if there is none."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in CURVES:
        return CURVES[public.curve.name]
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_RSA_BITS:
        return "ps256"
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "ed25519"
    raise SigningUnavailable("the signing certificate must be for P-256, P-384, P-521, Ed25519, or RSA of 2048 bits")


def matching(private_key: str, public: "CertificatePublicKeyTypes") -> str:
    """The private key as PKCS #8, after checking that it belongs to the certificate."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        # TypeError: the key is encrypted.
        key: PrivateKeyTypes = serialization.load_pem_private_key(private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningUnavailable("the signing key is not in PEM, or is encrypted") from error
    if key.public_key() != public:
        raise KeyMismatch("the signing key does not belong to the certificate")
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.decode()


def sign_by_command(key: SigningKey, data: bytes) -> bytes:
    """Sign bytes with a key's command.

    ECDSA signatures may be in DER, as from most tools and key services, or in C2PA's fixed-length format.

    Raises:
        SigningUnavailable: the command fails, does not exist, or takes too long.
    """
    try:
        done = subprocess.run(key.command, input=data, capture_output=True, timeout=COMMAND_SECONDS, check=True)
    except subprocess.CalledProcessError as error:
        raise SigningUnavailable(f"the signing command exited with {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise SigningUnavailable(f"the signing command took longer than {COMMAND_SECONDS:.0f} seconds") from error
    except OSError as error:
        raise SigningUnavailable(f"the signing command cannot be run: {error.strerror}") from error
    size = COORDINATE_BYTES.get(key.algorithm)
    return of_fixed_length(done.stdout, size) if size else done.stdout


def of_fixed_length(signature: bytes, coordinate_bytes: int) -> bytes:
    """Convert a signature from DER to r and s concatenated (IEEE P1363), if it is not that already."""
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        return signature
    return r.to_bytes(coordinate_bytes, "big") + s.to_bytes(coordinate_bytes, "big")


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(timezone.utc)
