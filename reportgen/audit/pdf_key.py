"""Who seals a PDF: a private key with its certificate and those above it, from PEM files or from one PKCS#12 file.

RSA and ECDSA are what readers of PAdES signatures know. Ed25519, which signs runs, came into PDF later, and only into PDF 2.0 (ISO/TS
32002:2022), while PDF/A-3 is PDF 1.7.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key, pkcs12
from cryptography.x509 import Certificate, ExtensionNotFound, KeyUsage, load_pem_x509_certificates

from reportgen.audit.dsse import read_secret
from reportgen.errors import ConfigError

ENVIRONMENT = "REPORTGEN_PDF_PASS"
#: A long chain of certificates as PEM has 20 kB.
_MOST = 1_000_000
LEAST_BITS = 2048
_PEM = b"-----BEGIN "
#: Curve -> hash of about its strength (FIPS 186-5; RFC 5753, section 2.1.1).
_CURVES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512(),
}  # fmt: skip

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Sealer:
    """A key with its certificates.

    Attributes
    ----------
    key : private key
    certificate : Certificate
        Of the key.
    chain : tuple of Certificate
        Those that lead from it to an authority; without them a reader must have them.
    source : str
        The file of the certificate, for errors.
    """

    key: Key = field(repr=False)
    certificate: Certificate
    chain: tuple[Certificate, ...] = ()
    source: str = ""

    @property
    def subject(self) -> str:
        """Whose certificate it is, in one line (RFC 4514)."""
        return self.certificate.subject.rfc4514_string()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate: ``openssl x509 -in F -noout -fingerprint -sha256`` without colons."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def hash(self) -> hashes.HashAlgorithm:
        """What is hashed with."""
        return hashes.SHA256() if isinstance(self.key, rsa.RSAPrivateKey) else _CURVES[self.key.curve.name]

    def sign(self, data: bytes) -> bytes:
        """A signature that is the same for the same bytes: RSASSA-PKCS1-v1_5, or ECDSA as in RFC 6979.

        ECDSA draws a random number instead where the OpenSSL below is older than 3.2.
        """
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), self.hash)
        try:
            return self.key.sign(data, ec.ECDSA(self.hash, deterministic_signing=True))
        except UnsupportedAlgorithm:
            return self.key.sign(data, ec.ECDSA(self.hash))

    def check(self, when: datetime, remedy: str) -> None:
        """See that the certificate is valid at a time.

        Parameters
        ----------
        when : datetime
            With its zone.
        remedy : str
            What can be done where it is not.

        Raises
        ------
        ConfigError
        """
        first, last = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if not first <= when <= last:
            told = f"is valid from {first:%Y-%m-%dT%H:%M:%SZ} to {last:%Y-%m-%dT%H:%M:%SZ}"
            raise ConfigError(f"{self.source}: the certificate {told}, and not at {when:%Y-%m-%dT%H:%M:%SZ}, {remedy}")


def read_sealer(path: Path, certificates: Path | None, secret: bytes | None, note: Callable[[str], None]) -> Sealer:
    """Read a key and its certificates.

    Parameters
    ----------
    path : Path
        A private key as PEM, perhaps with its certificates in the same file; or a PKCS#12 file.
    certificates : Path, optional
        Certificates as PEM, in any order.
    secret : bytes, optional
        The pass phrase of `path`.
    note : callable
        Takes the warning that others can read `path`.

    Raises
    ------
    ConfigError
        A file cannot be read or opened, no certificate is of the key, or it is not for such signatures.
    """
    data = read_secret(path, "--pdf-key", note, _MOST)
    named = [] if certificates is None else _certificates(_read(certificates), certificates)
    key, inside = _from_pem(data, secret, path) if _PEM in data else _from_pkcs12(data, secret, path)
    source = path if certificates is None else certificates
    fitting = [one for one in (*named, *inside) if _public(one) == _public(key)]
    if not fitting:
        told = "no certificate is of the key" if named or inside else "there is no certificate of the key"
        raise ConfigError(f"{source}: {told} in {path}; name the certificate that was issued for it with --pdf-cert")
    own = max(fitting, key=lambda one: one.not_valid_after_utc)  # a renewed one may stand beside it
    _check_use(own, source)
    return Sealer(key, own, tuple(dict.fromkeys(one for one in (*named, *inside) if one != own)), str(source))


def _from_pem(data: bytes, secret: bytes | None, path: Path) -> tuple[Key, list[Certificate]]:
    try:
        key: object = load_pem_private_key(data, secret if b"ENCRYPTED" in data else None)
    except TypeError as error:  # it is locked, and there is no pass phrase
        raise _locked(path) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _closed(path, secret if b"ENCRYPTED" in data else None, "a private key as PEM") from error
    return _checked(key, path), _certificates(data, path) if _PEM + b"CERTIFICATE" in data else []


def _from_pkcs12(data: bytes, secret: bytes | None, path: Path) -> tuple[Key, list[Certificate]]:
    try:
        key, own, others = pkcs12.load_key_and_certificates(data, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if secret is None:
            raise _locked(path, "it is not a private key as PEM or PKCS#12, or ") from error
        raise _closed(path, secret, "a private key as PEM or PKCS#12") from error
    return _checked(key, path), [one for one in (own, *others) if one is not None]


def _locked(path: Path, unless: str = "") -> ConfigError:
    return ConfigError(
        f"{path}: {unless}the key has a pass phrase; name a file that holds it with --pdf-pass, or set {ENVIRONMENT}"
    )


def _closed(path: Path, secret: bytes | None, kind: str) -> ConfigError:
    told = f"it is not {kind}" if secret is None else f"it is not {kind}, or the pass phrase is wrong"
    return ConfigError(
        f"{path}: the key cannot be opened ({told}); give the key with --pdf-key and its pass phrase with --pdf-pass"
    )


def _checked(key: object, path: Path) -> Key:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= LEAST_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return key
    told = f"RSA of {key.key_size} bits" if isinstance(key, rsa.RSAPrivateKey) else _kind(key)
    raise ConfigError(
        f"{path}: a PDF is sealed with RSA of at least {LEAST_BITS} bits, P-256, P-384 or P-521, not with {told}"
    )


def _kind(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return f"the curve {key.curve.name}"
    return "no key" if key is None else type(key).__name__.strip("_").removesuffix("PrivateKey")


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST)
    except OSError as error:
        raise ConfigError(
            f"{path}: the certificate cannot be read ({error.strerror}); name another with --pdf-cert"
        ) from error


def _certificates(data: bytes, path: Path) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(data)
    except ValueError as error:
        raise ConfigError(
            f"{path}: no certificate as PEM ({error}); convert it with openssl x509 -inform DER"
        ) from error


def _public(one: Certificate | Key) -> bytes:
    return one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_use(certificate: Certificate, source: Path) -> None:
    """A certificate may say what its key is for (RFC 5280, 4.2.1.3); then it must be for signatures over documents."""
    try:
        use = certificate.extensions.get_extension_for_class(KeyUsage).value
    except (ExtensionNotFound, ValueError):
        return
    if not (use.digital_signature or use.content_commitment):
        raise ConfigError(
            f"{source}: the certificate is not for signatures (its key usage); name another with --pdf-cert"
        )


def read_pass(path: Path | None, told: str, note: Callable[[str], None]) -> bytes | None:
    """The pass phrase of a key: the first line of a file, or what the environment says; None where there is neither.

    Raises
    ------
    ConfigError
        The file cannot be read.
    """
    if path is None:
        return told.encode("utf-8", "surrogateescape") or None
    return read_secret(path, "--pdf-pass", note).split(b"\n", 1)[0].rstrip(b"\r")
