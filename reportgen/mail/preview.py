"""``render_preview``: one finished mail as a page for those who send it: as a computer and a phone show it, and as plain text.

The mail itself stands in frames that run nothing, open nothing and fetch nothing; its pictures are written into it.
"""

from __future__ import annotations

import email
import email.policy
from base64 import b64encode
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from reportgen.errors import RenderError
from reportgen.mail.crm import Crm
from reportgen.report.html import render_page
from reportgen.report.words import Words, words

#: Headers that are shown, in this order.
_SHOWN = (
    "From", "Reply-To", "To", "Subject", "Date", "Message-ID", "Content-Language", "Auto-Submitted", "List-Id", "List-Unsubscribe",
    "List-Unsubscribe-Post",
)  # fmt: skip
#: What a frame may do: show itself, and with it the pictures that were written into it.
_POLICY = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
#: Gmail cuts a longer page off near here.
_CUT = 102_000


@dataclass(frozen=True)
class _Seen:
    headers: tuple[tuple[str, str], ...]
    subject: str
    sender: str
    preheader: str
    html: str
    text: str
    bytes: int
    pictures: int


def render_preview(data: bytes, locale: str = "en") -> str:
    """Show a message.

    Parameters
    ----------
    data : bytes
        An ``.eml`` file of this program.
    locale : str
        Of the page around the mail, for those who send it; the mail keeps its own.

    Raises
    ------
    ConfigError
        Unknown locale.
    RenderError
        It is no message with a text and a page.
    """
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    page, text = message.get_body(("html",)), message.get_body(("plain",))
    if page is None or text is None:
        raise RenderError("the mail has no page or no plain text; build it again")
    html, count = page.get_content().replace("\r\n", "\n"), 0
    size = len(html.encode("utf-8"))
    for part in message.walk():
        if cid := str(part.get("Content-ID", "")).strip("<> "):
            picture = b64encode(part.get_payload(decode=True) or b"").decode("ascii")  # type: ignore[arg-type]
            html = html.replace(f"cid:{cid}", f"data:{part.get_content_type()};base64,{picture}")
            count += 1
    headers = tuple((name, str(message[name])) for name in _SHOWN if name in message)
    seen = _Seen(
        headers, str(message["Subject"]), str(message["From"]), _preheader(html), html,
        text.get_content().replace("\r\n", "\n"), size, count,
    )  # fmt: skip
    return _page(seen, words(locale))


def render_crm_preview(crm: Crm, meta: dict[str, Any], address: str, locale: str = "en") -> str:
    """Show what a mail service is given, with its merge field as it is.

    Parameters
    ----------
    crm : Crm
    meta : dict
        What `Crm.meta` says.
    address : str
    locale : str
        As of `render_preview`.
    """
    language = words(locale)
    headers = (
        ("To", address), ("Subject", str(meta["subject"])), *sorted(meta["headers"].items()),
        (language.say("preview.merge_fields"), ", ".join(f"{name} = {value}" for name, value in sorted(meta["merge_fields"].items()))),
    )  # fmt: skip
    size = len(crm.html.encode("utf-8"))
    seen = _Seen(
        headers,
        str(meta["subject"]),
        language.say("preview.service"),
        str(meta["preheader"]),
        crm.html,
        crm.text,
        size,
        0,
    )
    return _page(seen, language)


def _preheader(html: str) -> str:
    """What an inbox shows behind the subject: the text of the first hidden element, to its first blank of no width."""
    return (
        html.partition('aria-hidden="true"')[2]
        .partition(">")[2]
        .partition("<")[0]
        .partition("&#8199;")[0]
        .split("\u2007")[0]
        .strip()
    )


def _page(seen: _Seen, language: Words) -> str:
    head, tag, rest = seen.html.partition("<head>")
    # Links stay readable and lead nowhere: a click on "stop these mails" here would stop a customer's.
    framed = f"{head}{tag}{_POLICY}{rest}" if tag else _POLICY + seen.html
    values = {
        "seen": seen,
        "headers": [(name, " ".join(value.split())) for name, value in seen.headers],
        "framed": framed,
        "language": language,
        "say": language.say,
        "size": _size(seen.bytes, language),
        "gap": "\u00a0",
    }
    return render_page("preview.html", values)


def _size(size: int, language: Words) -> str:
    """How large the page is, beside what a mail program shows of one."""
    told = language.number(size / 1000, 0)
    if size > _CUT:
        return language.say("preview.headers_large", size=told)
    return language.say("preview.headers", size=told, share=language.percent(round(100 * size / _CUT)))
