"""Keys and signatures: Ed25519 (RFC 8032), an in-toto Statement in a DSSE envelope (version 1.0.2 of its protocol).

What is signed is not the statement alone but ``PAE``: type and length go along, so that no byte can be read as something else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from reportgen.errors import ConfigError, OutputError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ENVIRONMENT = "REPORTGEN_SIGNING_KEY"
PRIVATE, PUBLIC = "reportgen-signing.key", "reportgen-signing.pub"
_MOST = 8192
_OTHERS = 0o077


class SignatureError(OutputError):
    """A signature is not of this key over these bytes, or is no signature."""


@dataclass(frozen=True)
class Signer:
    """A private key."""

    key: Ed25519PrivateKey = field(repr=False)

    @property
    def key_id(self) -> str:
        return public_id(self.key.public_key())

    def sign(self, kind: str, payload: bytes) -> bytes:
        """64 bytes over type and payload."""
        return self.key.sign(pae(kind, payload))


def pae(kind: str, payload: bytes) -> bytes:
    """Pre-authentication encoding of DSSE: what is really signed."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


def public_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the public key as DER, in hexadecimal digits: ``openssl pkey -pubin -outform DER | sha256sum``."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def envelope(payload: bytes, signer: Signer) -> bytes:
    """The payload with its signature, as canonical JSON."""
    signature = {"keyid": signer.key_id, "sig": _b64(signer.sign(PAYLOAD_TYPE, payload))}
    plain = {"payload": _b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}
    return (json.dumps(plain, sort_keys=True, indent=1) + "\n").encode("ascii")


def open_envelope(data: bytes) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Payload and signatures (key id, bytes) of an envelope. Nothing is checked yet.

    Raises
    ------
    SignatureError
        It is no envelope of ours.
    """
    try:
        plain: dict[str, Any] = json.loads(data)
        if plain["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(f"its payload is {plain['payloadType']!r}")
        signed = [(str(one.get("keyid", "")), _un64(one["sig"])) for one in plain["signatures"]]
        return _un64(plain["payload"]), signed
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SignatureError(f"it is no envelope with a signature ({error})") from error


def check_signature(key: Ed25519PublicKey, kind: str, payload: bytes, signature: bytes) -> None:
    """See whether a signature is of that key over that payload.

    Raises
    ------
    SignatureError
    """
    try:
        key.verify(signature, pae(kind, payload))
    except InvalidSignature as error:
        raise SignatureError(f"it is not a signature of the key {public_id(key)[:16]}... over these bytes") from error


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _un64(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64") from error


# --- keys


def make_keys(folder: Path) -> tuple[Path, Path, str]:
    """Make a pair of keys that only the owner may read the private half of.

    Returns
    -------
    private, public : Path
    key_id : str

    Raises
    ------
    ConfigError
        There are keys, or the folder cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    halves = (
        (folder / PRIVATE, 0o600, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())),
        (folder / PUBLIC, 0o644, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = next((path for path, _, _ in halves if os.path.lexists(path)), None)
        if there is not None:
            raise ConfigError(f"{there} is there already; a lost key cannot be made again, so name another --out")
        for path, mode, data in halves:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"{folder}: no keys can be written ({error.strerror}); name another --out") from error
    return folder / PRIVATE, folder / PUBLIC, public_id(key.public_key())


def find_signer(path: Path | None, environment: Mapping[str, str], note: Callable[[str], None]) -> Signer | None:
    """The private key that was named, or the one of ``REPORTGEN_SIGNING_KEY`` (a path, or the PEM text itself); None when there is none.

    Raises
    ------
    ConfigError
        It cannot be read, or is no private Ed25519 key.
    """
    told = environment.get(ENVIRONMENT, "").strip()
    if path is None and told.startswith("-----BEGIN"):
        return _signer(told.encode(), ENVIRONMENT)
    if path is None and not told:
        return None
    path = path or Path(told)
    return _signer(read_secret(path, "--signing-key", note), str(path))


def _signer(data: bytes, source: str) -> Signer:
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        told = "the public half of a pair" if b"PUBLIC KEY" in data else "no private key without a password, as PEM"
        raise ConfigError(f"{source} is {told}; make one with: reportgen keygen --out DIR") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{source} is no Ed25519 key; make one with: reportgen keygen --out DIR")
    return Signer(key)


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key.

    Raises
    ------
    ConfigError
        It cannot be read, or is no public Ed25519 key.
    """
    data, _ = _read(path, "--public-key")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path} is no public key as PEM; name the {PUBLIC} of who signed") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"{path} is no Ed25519 key; name the {PUBLIC} of who signed")
    return key


def read_secret(path: Path, option: str, note: Callable[[str], None], most: int = _MOST) -> bytes:
    """The first `most` bytes of a file that only its owner should read; where others can, a warning says so.

    Parameters
    ----------
    path : Path
    option : str
        Of the command line, by which another file can be named.
    note : callable
        Takes the warning.
    most : int

    Raises
    ------
    ConfigError
        It cannot be read.
    """
    data, mode = _read(path, option, most)
    if mode & _OTHERS:
        note(f"{path} can be read by others (mode {mode & 0o777:04o}); chmod 600 it, and make a new key if it leaked")
    return data


def _read(path: Path, option: str, most: int = _MOST) -> tuple[bytes, int]:
    try:
        with open(path, "rb") as file:
            return file.read(most), os.fstat(file.fileno()).st_mode
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be read ({error.strerror}); name another with {option}") from error
