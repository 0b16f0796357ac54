"""The carrier ``Mail``: a mail as page, text, subject and pictures, before it has a reader's address."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from hashlib import sha256
from html import escape

from reportgen.errors import RenderError

#: Bytes of the page. Gmail cuts a longer one off near 102 kB, and with it the link that stops the mails.
MOST_HTML = 90_000
#: Stands for the reader's own address to stop the mails, until it is known. `clean()` takes its last letter out of foreign text.
STOP = "https://unsubscribe.invalid/\ue000"
_DATA = re.compile(r'src="data:image/(png|jpeg|gif);base64,([A-Za-z0-9+/=]+)"')
_ADDRESS = re.compile(r"""<[^>]*\b(?:src|srcset|background|poster|href)\s*=\s*["']?\s*data:""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that travels with the page: `cid` names it there, `kind` is ``png``, ``jpeg`` or ``gif``."""

    cid: str
    kind: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mail:
    """One reader's mail.

    Attributes
    ----------
    locale, key : str
        Language, and pseudonym of the user; the key is in no text of the mail's head.
    subject, preheader : str
        The same for all readers of a language: they are shown on locked screens.
    html, text : str
        The page and the same in plain text. Both hold `STOP` where the reader's own address will stand.
    images : tuple of Picture
    n_items : int
        Products in it. A mail without any says so; whether it is sent is the sender's choice.
    """

    locale: str
    key: str
    subject: str
    preheader: str
    html: str = field(repr=False)
    text: str = field(repr=False)
    images: tuple[Picture, ...]
    n_items: int


def filled(mail: Mail, url: str) -> tuple[str, str]:
    """The page and the text with the reader's own address to stop the mails.

    Parameters
    ----------
    mail : Mail
    url : str
        Any text; it is escaped for the page.
    """
    return mail.html.replace(STOP, escape(url)), mail.text.replace(STOP, url)


def taken_out(html: str) -> tuple[str, tuple[Picture, ...]]:
    """Pictures inside a page become parts of their own: mail programs show no ``data:`` address.

    Returns
    -------
    html : str
        With ``cid:`` addresses.
    pictures : tuple of Picture
        In their order, each once.

    Raises
    ------
    RenderError
        An address ``data:`` that is no PNG, JPEG or GIF.
    """
    found: dict[str, Picture] = {}

    def take(match: re.Match[str]) -> str:
        data = b64decode(match[2])
        # Named by its bytes, so that the same picture has the same name in every mail.
        picture = Picture(f"{sha256(data).hexdigest()[:24]}@picture.invalid", match[1], data)
        found[picture.cid] = picture
        return f'src="cid:{picture.cid}"'

    if "data:" not in html.lower():  # a tenth of a millisecond less for nearly every mail
        return html, ()
    html = _DATA.sub(take, html)
    if _ADDRESS.search(html):
        raise RenderError(
            "a mail holds a data: address that is no png, jpg or gif picture; mail programs do not show it"
        )
    return html, tuple(found.values())
