"""``erasures.jsonl``: one line for each user erased from a run, by pseudonym, and one when all of it was purged.

A line may carry a signature of its own. Without one, an erasure is on record but not proven to be the operator's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from reportgen.audit.dsse import SignatureError, Signer, check_signature
from reportgen.errors import OutputError
from reportgen.formats import FORMATS
from reportgen.output.entries import KEY

FILE, MEDIA_TYPE = "erasures.jsonl", "application/x-ndjson"
_SIGNED = "application/vnd.reportgen.erasure+json"


@dataclass
class Register:
    """The erasures of a run.

    Attributes
    ----------
    lines : list of dict
        In the order in which they happened.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, data: bytes | None) -> Register:
        """Read the file; a run without one has no erasures.

        Raises
        ------
        OutputError
            A line is none.
        """
        try:
            return cls([_line(json.loads(line)) for line in (data or b"").splitlines()])
        except (ValueError, TypeError, RecursionError) as error:
            raise OutputError(f"{FILE} is damaged ({error})") from error

    @property
    def keys(self) -> set[str]:
        """Pseudonyms of erased users."""
        return {line["key"] for line in self.lines if "key" in line}

    @property
    def purged(self) -> bool:
        """Whether the personal content of the whole run was taken away."""
        return any("purged_at" in line for line in self.lines)

    def add(self, line: dict[str, Any], signer: Signer | None) -> None:
        """Add an erasure, signed where there is a key."""
        signature = {}
        if signer is not None:
            text = base64.b64encode(signer.sign(_SIGNED, _payload(line))).decode("ascii")
            signature = {"signature": {"keyid": signer.key_id, "sig": text}}
        self.lines.append(line | signature)

    def to_bytes(self) -> bytes:
        """The file."""
        return b"".join(_payload(line, "") + b"\n" for line in self.lines)

    def signed(self, key: Ed25519PublicKey) -> int:
        """How many lines carry a signature of that key.

        Raises
        ------
        SignatureError
            A line carries one that is not.
        """
        carrying = [line for line in self.lines if "signature" in line]
        for line in carrying:
            try:
                check_signature(key, _SIGNED, _payload(line), base64.b64decode(line["signature"]["sig"], validate=True))
            except (SignatureError, ValueError, KeyError, TypeError) as error:
                raise SignatureError(
                    f"the erasure of {line.get('key', 'everybody')} is not signed by this key"
                ) from error
        return len(carrying)


def _payload(line: dict[str, Any], without: str = "signature") -> bytes:
    told = {name: value for name, value in line.items() if name != without}
    return json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _line(plain: Any) -> dict[str, Any]:
    if not isinstance(plain, dict) or not isinstance(plain.get("run_id"), str):
        raise ValueError("a line names no run")
    if "purged_at" in plain:
        return plain
    if (
        not isinstance(plain.get("key"), str)
        or not KEY.fullmatch(plain["key"])
        or not isinstance(plain.get("erased_at"), str)
    ):
        raise ValueError("a line names no user or no time")
    formats: Iterable[object] = plain.get("formats", ())
    if not isinstance(formats, list) or any(word not in FORMATS for word in formats):
        raise ValueError("a line names a format that there is none of")
    return plain
