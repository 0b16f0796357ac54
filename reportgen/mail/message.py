"""``build_message``: a mail becomes a MIME message with every header written by us, the same bytes each time.

The parts are encoded and the headers are folded here, in the form that goes over the wire, and the message object only holds them.
That keeps long addresses whole (the standard library turns them into encoded words, and RFC 8058 links then no longer work), it
keeps foreign text from being read as a header, and it takes a tenth of the time.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b32encode, encodebytes
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage, Message
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from reportgen.config import Config
from reportgen.errors import ConfigError, RenderError
from reportgen.mail.address import (
    MOST_NAME,
    MOST_SUBJECT,
    Address,
    header_text,
    mailbox,
    read_address,
    unstructured,
)
from reportgen.mail.parts import Mail, Picture, filled
from reportgen.mail.setup import MailSetup, mail_setup

# Neither can stand in a part: "=_" is nothing in quoted-printable, and base64 has no "_" (RFC 2045, 6.7).
_ALTERNATIVE, _RELATED = "=_reportgen_alternative", "=_reportgen_related"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
_TOKEN_CONTEXT = b"reportgen/unsubscribe/v1"
_TOKEN_BYTES = 20
#: A line of a message (RFC 5322, 2.1.1), without its end.
_MOST_LINE = 998


class _Wire(EmailPolicy):
    """Headers are kept as they are given, which is as they go over the wire. Whoever asks for one gets it read."""

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        return name, value


_ASCII = _Wire(linesep=SMTP.linesep, refold_source="none", cte_type="7bit", max_line_length=_MOST_LINE)
_UTF8 = _ASCII.clone(utf8=True)


def unsubscribe_token(key: bytes, user_id: str) -> str:
    """What stands for a user in the address that stops the mails: 32 letters a-z2-7, a keyed hash.

    The same for all runs, so that an old mail can still be stopped, and unlike the pseudonym in file names. Without the key it
    can neither be undone nor guessed; with it, ids are compared with it one by one.

    Parameters
    ----------
    key : bytes
        The secret of the runs.
    user_id : str
    """
    return token_of(token_key(key), user_id)


def token_key(key: bytes) -> bytes:
    """What tokens are made with: a key of their own, which names no file. Workers get this one only."""
    return hmac.new(key, _TOKEN_CONTEXT, hashlib.sha256).digest()


def token_of(tokens: bytes, user_id: str) -> str:
    """`unsubscribe_token` by the key of tokens."""
    digest = hmac.new(tokens, user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return b32encode(digest[:_TOKEN_BYTES]).decode("ascii").lower()


def build_message(
    mail: Mail, to: str | Address, config: Config, token: str, date: datetime, *, run: str = "", name: str = ""
) -> EmailMessage:
    """Put a mail into a message for one reader.

    Parameters
    ----------
    mail : Mail
        As of `render_mail`.
    to : str or Address
        The one recipient.
    config : Config
        Its ``[mail]`` and ``[operator]``.
    token : str
        16 to 128 letters, digits, ``-`` or ``_`` that say nothing about the reader; see `unsubscribe_token`.
    date : datetime
        With a time zone. It is given, so that the same message can be built again.
    run : str
        Name of the run: with the mail's key and language it makes the Message-ID, so that a second copy is recognised as one.
    name : str
        Shown beside the address of the reader; left out when empty.

    Returns
    -------
    EmailMessage
        ``multipart/alternative`` of the text and the page, the page inside ``multipart/related`` where it has pictures.
        ``message.policy.utf8`` says whether only servers with SMTPUTF8 can take it.

    Raises
    ------
    ConfigError
        Something is missing that law or RFC needs (all of it is named), or the token or the date cannot be used.
    AddressError
        The recipient's address cannot be used.
    """
    setup = mail_setup(config)
    reader = read_address(to) if isinstance(to, str) else to
    if not _TOKEN.fullmatch(token):
        raise ConfigError("the token of an unsubscribe link must be 16 to 128 letters, digits, - or _")
    if date.tzinfo is None:
        raise ConfigError("the date of a mail needs a time zone")
    url, policy = setup.unsubscribe_url(token), _UTF8 if reader.needs_utf8 else _ASCII
    html, text = filled(mail, url)
    message = EmailMessage(policy)
    for header, value in _headers(mail, setup, reader, name, policy.utf8):
        message[header] = value
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<{message_id(run, mail.key, mail.locale)}@{setup.sender.domain}>"
    for header, value in _list_headers(setup, url, token):
        message[header] = value
    message["MIME-Version"] = "1.0"
    message["Content-Type"] = f'multipart/alternative; boundary="{_ALTERNATIVE}"'
    page = _text_part(html, "html", policy)
    message.attach(_text_part(text, "plain", policy))
    message.attach(_related(page, mail.images, policy) if mail.images else page)
    return message


def message_id(run: str, key: str, locale: str) -> str:
    """The part of a Message-ID before the ``@``: 32 hexadecimal digits, the same for the same run, reader and language."""
    return hashlib.sha256(
        "\0".join(("reportgen/mail/v1", run, key, locale)).encode("utf-8", "surrogatepass")
    ).hexdigest()[:32]


def write_eml(message: EmailMessage) -> bytes:
    """The message as an ``.eml`` file: CRLF, and not a byte that depends on where or when it is written.

    Raises
    ------
    RenderError
        What was written is not what was built: a header more or fewer, a bare line end, a line of more than 998 bytes.
    """
    data = b"".join(_written(message))
    check_wire(data, message.keys())
    return data


def _written(part: Message) -> Iterator[bytes]:
    """The bytes of a message of ours: what ``as_bytes`` gives, which goes through it line by line, in a tenth of the time."""
    yield "".join(f"{name}: {value}\r\n" for name, value in part.raw_items()).encode("utf-8")
    yield b"\r\n"
    if not part.is_multipart():
        yield str(part.get_payload()).encode("ascii")
        return
    border = f"--{_RELATED if part.get_content_subtype() == 'related' else _ALTERNATIVE}".encode("ascii")
    for at, inner in enumerate(part.get_payload()):
        yield (b"\r\n" if at else b"") + border + b"\r\n"
        assert isinstance(inner, Message)
        yield from _written(inner)
    yield b"\r\n" + border + b"--\r\n"


def check_wire(data: bytes, wanted: list[str]) -> None:
    """Read a message back: exactly the headers `wanted`, in this order, whole line ends, no line too long.

    Raises
    ------
    RenderError
        As `write_eml`.
    """
    head, _, _ = data.partition(b"\r\n\r\n")
    names = [
        line.partition(b":")[0].decode("ascii", "replace")
        for line in head.split(b"\r\n")
        if line[:1] not in (b" ", b"\t")
    ]
    if names != wanted:
        raise RenderError(f"a mail has the headers {names} in place of {wanted}")
    if data.count(b"\n") != data.count(b"\r\n") or data.count(b"\r") != data.count(b"\r\n"):
        raise RenderError("a mail has a line end that is not CRLF")
    if max(map(len, data.split(b"\r\n"))) > _MOST_LINE:
        raise RenderError(f"a mail has a line of more than {_MOST_LINE} bytes")


def _headers(mail: Mail, setup: MailSetup, reader: Address, name: str, utf8: bool) -> list[tuple[str, str]]:
    found = [
        ("From", mailbox(setup.sender_name, setup.sender, utf8)),
        ("To", mailbox(header_text(name, MOST_NAME), reader, utf8)),
        ("Subject", unstructured(header_text(mail.subject, MOST_SUBJECT), utf8)),
        ("Content-Language", mail.locale),
        ("Auto-Submitted", "auto-generated"),
    ]
    if setup.reply_to:
        found.insert(1, ("Reply-To", mailbox("", setup.reply_to)))
    return found


def _list_headers(setup: MailSetup, url: str, token: str) -> list[tuple[str, str]]:
    ways = [f"<{url}>"]
    if (
        setup.unsubscribe_to
    ):  # the address is ASCII (`mail_setup`); what RFC 6068 reserves in it is written by its number
        to = quote(setup.unsubscribe_to.local, safe="!$'*+-._~") + "@" + setup.unsubscribe_to.domain
        ways.append(f"<mailto:{to}?subject={token}>")
    return [
        ("List-Id", f"<{setup.list_id}>"),
        ("List-Unsubscribe", ",\r\n ".join(ways)),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ]


def _text_part(text: str, kind: str, policy: EmailPolicy) -> EmailMessage:
    """Text in quoted-printable or base64, whichever is shorter: Latin is readable as it is, Chinese would grow ninefold."""
    part, raw = EmailMessage(policy), text.replace("\n", "\r\n").encode("utf-8")
    readable = binascii.b2a_qp(raw, istext=True)
    way, data = "quoted-printable", readable
    if len(readable) > len(raw) * 1.4:
        way, data = "base64", encodebytes(raw).replace(b"\n", b"\r\n")
    part["Content-Type"] = f"text/{kind}; charset=utf-8"
    part["Content-Transfer-Encoding"] = way
    part.set_payload(data.decode("ascii"))
    return part


def _related(page: EmailMessage, images: tuple[Picture, ...], policy: EmailPolicy) -> EmailMessage:
    whole = EmailMessage(policy)
    whole["Content-Type"] = f'multipart/related; boundary="{_RELATED}"; type="text/html"'
    whole.attach(page)
    for at, image in enumerate(images, start=1):
        part = EmailMessage(policy)
        part["Content-Type"] = f"image/{image.kind}"
        part["Content-Transfer-Encoding"] = "base64"
        part["Content-ID"] = f"<{image.cid}>"
        part["Content-Disposition"] = f'inline; filename="figure-{at}.{image.kind}"'
        part.set_payload(encodebytes(image.data).decode("ascii").replace("\n", "\r\n"))
        whole.attach(part)
    return whole
