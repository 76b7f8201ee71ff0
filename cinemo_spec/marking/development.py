"""Makes signing keys for development, with a certificate authority that nobody trusts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cinemo_spec.marking.keys import CLAIM_SIGNING, EMAIL_PROTECTION

if TYPE_CHECKING:
    from cryptography import x509


@dataclass(frozen=True)
class DevelopmentKey:
    """A signing key in PEM: certificate chain, private key, and the authority's certificate."""

    chain: str
    private_key: str = field(repr=False)
    anchor: str


def make_development_key(name: str, begins_at: datetime, days: int) -> DevelopmentKey:
    """Make a P-256 key as C2PA requires (section 14.5.1), and its authority, whose private key is discarded."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def certificate(
        subject: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, is_authority: bool
    ) -> "x509.CertificateBuilder":
        usage = {"digital_signature": not is_authority, "key_cert_sign": is_authority, "crl_sign": is_authority}
        unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named(authority_name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins_at)
            .not_valid_after(begins_at + timedelta(days=days))
            .add_extension(x509.BasicConstraints(is_authority, 0 if is_authority else None), critical=True)
            .add_extension(x509.KeyUsage(**usage, **dict.fromkeys(unused, False), decipher_only=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        )

    authority_name = f"{name} (authority)"
    authority, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    # Readers of C2PA 2 look for the first usage; older ones, and those with default settings, for the second.
    usages = x509.ExtendedKeyUsage([x509.ObjectIdentifier(each) for each in (CLAIM_SIGNING, EMAIL_PROTECTION)])
    anchor = certificate(authority_name, authority, authority, True).sign(authority, hashes.SHA256())
    leaf = certificate(name, signer, authority, False).add_extension(usages, critical=False)

    def pem(of: "x509.Certificate") -> str:
        return of.public_bytes(serialization.Encoding.PEM).decode()

    private = signer.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return DevelopmentKey(pem(leaf.sign(authority, hashes.SHA256())) + pem(anchor), private.decode(), pem(anchor))


def named(text: str) -> "x509.Name":
    """A name with the organization, which C2PA readers show as the signer."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, text), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )
