"""Keys and certificates for tests of sealed PDFs, made on the spot."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

FROM, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC)
OWNER, SHOP = "Test authority", "Example Shop \u5e97"
KINDS = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
}


def issue(
    subject: str, key: Any, issuer: str, issuer_key: Any, first: datetime = FROM, last: datetime = UNTIL,
    authority: bool = False, signs: bool = True,
) -> x509.Certificate:  # fmt: skip
    """A certificate for a key."""
    whose, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer))
    use = x509.KeyUsage(
        digital_signature=signs and not authority, content_commitment=signs and not authority, key_encipherment=False,
        data_encipherment=False, key_agreement=not signs, key_cert_sign=authority, crl_sign=authority,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    mine = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    made = x509.CertificateBuilder(by, whose, key.public_key(), x509.random_serial_number(), first, last)
    made = made.add_extension(x509.BasicConstraints(authority, None), critical=True).add_extension(use, critical=True)
    return (
        made.add_extension(mine, critical=False).add_extension(above, critical=False).sign(issuer_key, hashes.SHA256())
    )


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def private(key: Any, secret: bytes = b"") -> bytes:
    lock = BestAvailableEncryption(secret) if secret else NoEncryption()
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))


def keep(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path
