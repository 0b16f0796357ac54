"""The list of people who must not be written to, whatever the list of recipients says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from reportgen.errors import ConfigError
from reportgen.mail.address import Address, AddressError, read_address
from reportgen.output.entries import KEY

_HASH = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class Suppressed:
    """People who must not be written to, whatever the list of recipients says.

    Attributes
    ----------
    forms : frozenset of str
        Addresses, their SHA-256, and keys, each in the form in which it is compared.
    """

    forms: frozenset[str] = frozenset()

    def holds(self, key: str, box: Address) -> bool:
        """Whether somebody is on the list, by key, by address or by its hash. Case makes no difference: to be silent is safe."""
        return key in self.forms or not self.forms.isdisjoint(_forms(box)) if self.forms else False

    def __len__(self) -> int:
        return len(self.forms)

    def __repr__(self) -> str:
        return f"Suppressed(<{len(self.forms)} people>)"


def _forms(box: Address) -> list[str]:
    """The address in ASCII and as people write it, and the hash of each."""
    labels = (part[4:].encode().decode("punycode") if part[:4] == "xn--" else part for part in box.domain.split("."))
    local = box.local.lower()
    plain = (f"{local}@{box.domain}", f"{local}@{'.'.join(labels)}")
    return [plain[0], *(sha256(form.encode()).hexdigest() for form in plain)]


def read_suppressed(path: Path) -> Suppressed:
    """Read a list of people who must not be written to: one address, SHA-256 of an address, or key a line.

    A hash is the hexadecimal SHA-256 of the address in lower case, in UTF-8, without white space, as advertising systems exchange it.
    Blank lines and lines that begin with ``#`` are left out.

    Raises
    ------
    ConfigError
        The file cannot be read, or a line is none of the three: half a list would let mail through.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: the suppression list cannot be read ({error.strerror}); name another") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: the suppression list is not UTF-8; save it as such") from error
    return suppress(lines, str(path))


def suppress(lines: Iterable[str], source: str = "the suppression list") -> Suppressed:
    """`Suppressed` of lines, as `read_suppressed` takes them.

    Raises
    ------
    ConfigError
    """
    forms = set()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            forms.add(_suppressed_form(text, f"{source}, line {number}"))
    return Suppressed(frozenset(forms))


def _suppressed_form(text: str, where: str) -> str:
    if _HASH.fullmatch(text) or KEY.fullmatch(text):
        return text.lower()
    try:
        return _forms(read_address(text))[0]
    except AddressError as error:
        raise ConfigError(f"{where}: no address, no SHA-256 of one and no key ({error}); correct the line") from error
