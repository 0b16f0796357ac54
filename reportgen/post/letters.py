"""What is sent: a key, an address and a message, and the form that a message has on the way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from email import policy
from email.parser import HeaderParser
from email.utils import format_datetime
from hashlib import sha256

from reportgen.mail.address import Address, AddressError, read_address

#: RFC 5321, 4.5.3.1.6, without the line end. Servers cut or refuse what is longer.
MAX_LINE = 998
_EOL = re.compile(rb"\r\n|\r|\n")
_DOT = re.compile(rb"^\.", re.MULTILINE)
_FIELD = re.compile(rb"[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*")
#: Who else gets a copy: nobody.
_NOBODY = ("cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
#: Not in a test round: who tries out the button of a mail program must not unsubscribe a customer.
_NOT_IN_A_TEST = (b"to", b"cc", b"bcc", b"list-unsubscribe", b"list-unsubscribe-post")
#: More than any header of ours.
_HEAD = 16_384
_PARSER = HeaderParser(policy=policy.SMTPUTF8)


@dataclass(frozen=True)
class Letter:
    """One message to one person.

    Attributes
    ----------
    key : str
        Pseudonym of the user.
    recipient : str
        Bare address.
    message : bytes or callable
        The message, or what makes it; that is only called when the message is about to be sent, and again for each further attempt, so
        it must make the same bytes each time.
    trouble : str
        Why there is nothing to be sent to this person, such as a damaged file; empty otherwise.
    """

    key: str
    recipient: str = field(repr=False)
    message: bytes | Callable[[], bytes] = field(repr=False)
    trouble: str = ""

    def made(self) -> bytes:
        """The bytes of the message."""
        return self.message if isinstance(self.message, bytes) else self.message()


@dataclass(frozen=True)
class Wire:
    """A message as it goes over the wire: lines end in CR LF, a dot at the beginning of a line is doubled, without the final dot.

    Attributes
    ----------
    data : bytes
    digest : str
        SHA-256 of the message before dots were doubled, hexadecimal.
    ascii : bool
        Whether all bytes are ASCII.
    utf8_head : bool
        Whether a header is not.
    """

    data: bytes = field(repr=False)
    digest: str
    ascii: bool
    utf8_head: bool


def wire_form(message: bytes) -> Wire:
    """Bring a message into the form of the wire.

    A lone CR or LF becomes CR LF: servers disagree on what a lone one means, and that has been used to smuggle in second messages.

    Raises
    ------
    ValueError
        A line is too long, there is a NUL, or header and body are not both there.
    """
    plain = _EOL.sub(b"\r\n", message)
    plain = plain if plain.endswith(b"\r\n") else plain + b"\r\n"
    head, blank, _ = plain.partition(b"\r\n\r\n")
    if not blank or not head:
        raise ValueError("the message has no header or no end of it")
    if b"\0" in plain:
        raise ValueError("the message has a NUL, which no server takes")
    if max(map(len, plain.split(b"\r\n"))) > MAX_LINE:
        raise ValueError(f"the message has a line of more than {MAX_LINE} bytes, which no server must take")
    return Wire(_DOT.sub(b"..", plain), sha256(plain).hexdigest(), plain.isascii(), not head.isascii())


def recipient_of(message: bytes) -> str:
    """The address in the ``To`` of a message that this program wrote; whether it names one person is for `check_recipient`."""
    head = _EOL.sub(b"\r\n", message[:_HEAD]).partition(b"\r\n\r\n")[0]
    to = next((line for line in _FIELD.findall(head + b"\r\n") if line[:3].lower() == b"to:"), b"")
    return to.rpartition(b"<")[2].partition(b">")[0].decode("utf-8", "replace").strip()


def dated(message: bytes, when: datetime) -> bytes:
    """The message with the time of its sending as its ``Date`` (RFC 5322, 3.6.1: when it is ready to go).

    A run is dated by its data, so that it can be made again byte by byte; a mail dated so would lie far down in a mailbox.

    Parameters
    ----------
    message : bytes
    when : datetime
        With a time zone.
    """
    head, blank, body = message.partition(b"\r\n\r\n")
    date = b"Date: " + format_datetime(when).encode("ascii")
    return re.sub(rb"(?mi)^date:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", date, head, count=1) + blank + body


def check_recipient(message: bytes, box: Address) -> None:
    """See that a message is addressed to the person it is sent to and to nobody else.

    Raises
    ------
    ValueError
        There is no single ``To``, it names somebody else, or a copy would go to others.
    """
    try:
        # As text: given bytes, the parser would take every letter beyond ASCII for damage.
        head = _PARSER.parsestr(_EOL.sub(b"\n", message).partition(b"\n\n")[0].decode("utf-8"))
        fields = head.get_all("To", [])
        named = [address.addr_spec for line in fields for address in line.addresses]
        copies = [name for name in _NOBODY if name in head]
    except Exception as error:  # the parser of the standard library raises this and that on hostile headers
        raise ValueError("the header of the message cannot be read") from error
    if copies:
        raise ValueError(f"the message has a header {copies[0].title()}; it would tell of others")
    if len(fields) != 1 or len(named) != 1 or not _same(named[0], box):
        raise ValueError("the message is not addressed to this person alone")


def _same(named: str, box: Address) -> bool:
    try:
        return read_address(named) == box
    except AddressError:
        return False


def redirected(message: bytes, box: Address) -> bytes:
    """The message for a test round: addressed to `box`, with an id of its own and without the customer's button to unsubscribe.

    Body and all other headers stay as they are.

    Raises
    ------
    ValueError
        There is no header.
    """
    head, blank, body = _EOL.sub(b"\r\n", message).partition(b"\r\n\r\n")
    if not blank:
        raise ValueError("the message has no header or no end of it")
    fields = _FIELD.findall(head + b"\r\n")
    kept = [line for line in fields if line.partition(b":")[0].lower() not in _NOT_IN_A_TEST]
    # With the id of the real message a mail program would take the two for one and show one of them.
    kept = [re.sub(rb"(?i)^(message-id:\s*<)", rb"\1test.", line) for line in kept]
    return b"To: " + box.spec.encode() + b"\r\n" + b"".join(kept) + b"\r\n" + body
