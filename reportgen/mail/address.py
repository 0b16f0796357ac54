"""Addresses and texts on their way into the header of a mail: checked, defused, and written as they go over the wire.

Nothing is left to a general header library here: the one of Python 3.11 and 3.12.1 takes a text such as
``=?utf-8?q?=0D=0ABcc=3A...?=`` for an encoded word, decodes it, and writes the line break that it hid as a new header.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from dataclasses import dataclass

from reportgen.errors import ReportgenError
from reportgen.text import REPLACEMENT, clean

#: Octets (RFC 5321, 4.5.3.1; the whole is bounded by the path of 256 with its angle brackets).
MOST_LOCAL, MOST_DOMAIN, MOST_ADDRESS = 64, 253, 254
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_UNICODE_ATOM = rf"(?:{_ATOM}|[^\x00-\x7f])"
_LOCAL = re.compile(rf"{_ATOM}+(?:\.{_ATOM}+)*")
_UNICODE_LOCAL = re.compile(rf"{_UNICODE_ATOM}+(?:\.{_UNICODE_ATOM}+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
#: Letters that IDNA 2003, which Python has, and IDNA 2008, which registries use, turn into different hosts.
_DEVIATIONS = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")
#: Categories that may stand in a local part beyond ASCII: letters, marks, numbers, signs; no space, control or half a pair.
_WRITTEN = frozenset(
    ("Ll", "Lu", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl", "No", "So", "Sm", "Sk", "Sc", "Pd", "Pc", "Po")
)
#: Bytes of text in one encoded word, so that the word has at most 75 characters and its line at most 76 (RFC 2047, 2).
_WORD_BYTES = 39
#: Graphemes of a subject and of a name in a header.
MOST_SUBJECT, MOST_NAME = 150, 60


class AddressError(ReportgenError):
    """An e-mail address cannot be used. The message says why and does not repeat the address, so that it can be logged."""


@dataclass(frozen=True)
class Address:
    """A checked address.

    Attributes
    ----------
    local : str
        Before the ``@``; a dot-atom, NFC.
    domain : str
        Host name in lower case, international names in punycode (A-labels).
    """

    local: str
    domain: str

    @property
    def spec(self) -> str:
        """``local@domain``."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Whether only servers with SMTPUTF8 (RFC 6531) can take it: the part before the ``@`` is not ASCII."""
        return not self.local.isascii()


def read_address(text: str) -> Address:
    """Check one address.

    One dot-atom before the ``@`` and a host name of two labels or more behind it; international host names become punycode,
    and an international local part stays as it is (RFC 6531). Quoted local parts, comments, display names, lists, address
    literals and anything with a space or a control are refused, although RFC 5322 knows a form for some of them: nobody
    receives suggestions there, and each of them has served to smuggle something in.

    Raises
    ------
    AddressError
        Says what is wrong without the address itself.
    """
    text = unicodedata.normalize("NFC", text.strip(" \t"))
    local, at, domain = text.rpartition("@")
    if not text or not at or not local or not domain:
        raise AddressError("the e-mail address is empty or has no part before or after the @")
    if any(
        character.isspace() or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") for character in text
    ):
        raise AddressError("the e-mail address holds a space, a line break or a character that cannot be seen")
    if not (_LOCAL.fullmatch(local) or (_UNICODE_LOCAL.fullmatch(local) and _is_written(local))):
        raise AddressError("the part of the e-mail address before the @ is more than letters, digits and single dots")
    host = _host(domain)
    octets = len(local.encode("utf-8"))
    if octets > MOST_LOCAL or octets + 1 + len(host) > MOST_ADDRESS:
        raise AddressError(
            f"the e-mail address is longer than {MOST_LOCAL} octets before the @ or {MOST_ADDRESS} in all"
        )
    return Address(local, host)


def _is_written(local: str) -> bool:
    return all(character.isascii() or unicodedata.category(character) in _WRITTEN for character in local)


def _host(domain: str) -> str:
    if domain.isascii():
        host = domain.lower()
    else:
        if _DEVIATIONS.intersection(domain):
            raise AddressError(
                "the host of the e-mail address has a letter that leads to different hosts; write it in punycode"
            )
        try:
            host = domain.encode("idna").decode("ascii").lower()
        except UnicodeError as error:
            raise AddressError("the host of the e-mail address is no host name") from error
    labels = host.split(".")
    good = len(host) <= MOST_DOMAIN and len(labels) > 1 and all(map(_LABEL.fullmatch, labels))
    if not good or labels[-1].isdigit():
        raise AddressError("the host of the e-mail address is no host name with a dot in it")
    return host


def header_text(text: str, limit: int) -> str:
    """Foreign text for a header: one line, no controls, no marks that turn the direction, nothing that looks like an encoded word.

    ``=?`` gets a space inside: what a reader decodes once is then harmless to one who decodes it again.
    """
    return re.sub(r"=(?=\?)", "= ", clean(text, limit).replace(REPLACEMENT, "")).strip()


def unstructured(text: str, utf8: bool = False) -> str:
    """The value of a header such as ``Subject`` as it goes over the wire: ASCII as it is, else encoded words (RFC 2047).

    Parameters
    ----------
    text : str
        As of `header_text`.
    utf8 : bool
        The message needs SMTPUTF8 anyway: text stays text (RFC 6532).
    """
    if utf8 or (text.isascii() and "=?" not in text):
        return _folded(text)
    return encoded_words(text)


def _folded(text: str) -> str:
    """Broken between words into lines of at most 66 characters, where the words allow it."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > 66:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line])


def encoded_words(text: str) -> str:
    """Encoded words of UTF-8 in base64, one a line; no character is split between two of them."""
    chunks, size = [""], 0
    for character in text:
        width = len(character.encode("utf-8"))
        if size + width > _WORD_BYTES:
            chunks.append("")
            size = 0
        chunks[-1] += character
        size += width
    return "\r\n ".join(f"=?utf-8?B?{b64encode(chunk.encode('utf-8')).decode('ascii')}?=" for chunk in chunks)


def mailbox(name: str, address: Address, utf8: bool = False) -> str:
    """``"Name" <local@domain>`` as it goes over the wire.

    Parameters
    ----------
    name : str
        As of `header_text`; may be empty.
    """
    if not name:
        return f"<{address.spec}>"
    phrase = encoded_words(name)
    if utf8 or (name.isascii() and "=?" not in name):
        quoted = re.sub(r'(["\\])', r"\\\1", name)
        phrase = f'"{quoted}"'
    return f"{phrase}\r\n <{address.spec}>"
