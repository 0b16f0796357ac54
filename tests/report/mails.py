"""Mails for tests: settings that are complete, messages from reports, and a reader of their bytes that trusts nobody."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cached_property
from html.parser import HTMLParser
from typing import Any

import samples

from reportgen.config import Config
from reportgen.mail.render import Mail, build_message, render_mail, write_eml
from reportgen.report.document import Report

DATE = datetime(2026, 6, 29, 8, 30, tzinfo=UTC)
TOKEN = "abcdefghijklmnopqrstuvwxyz234567"
TO = "ann@example.test"
MAIL = {"from_address": "hello@shop.test", "unsubscribe": "https://shop.test/stop/{token}"}
STOP_URL = f"https://shop.test/stop/{TOKEN}"
#: Every message has these headers, in this order, and no other.
HEADERS = [
    "From", "To", "Subject", "Content-Language", "Auto-Submitted", "Date", "Message-ID", "List-Id", "List-Unsubscribe",
    "List-Unsubscribe-Post", "MIME-Version", "Content-Type",
]  # fmt: skip


def config(**mail: Any) -> Config:
    return samples.config(mail=MAIL | mail)


def operator(**more: Any) -> Config:
    """Settings with another ``[operator]``."""
    return Config.from_dict({"operator": samples.OPERATOR | more, "mail": MAIL})


def message_of(
    report: Report, settings: Config | None = None, to: str = TO, figures: str = "cells", **more: Any
) -> EmailMessage:
    settings = settings or config()
    return build_message(render_mail(report, figures, settings), to, settings, TOKEN, DATE, run="run-1", **more)


def with_subject(mail: Mail, subject: str) -> Mail:
    """A mail whose subject went past `render_mail`: the message must not trust it."""
    return replace(mail, subject=subject)


@dataclass
class Received:
    """A message read from its bytes."""

    raw: bytes
    message: EmailMessage
    text: str
    html: str
    parts: list[EmailMessage]

    @cached_property
    def page(self) -> Tags:
        tags = Tags()
        tags.feed(self.html)
        tags.close()
        return tags

    @property
    def links(self) -> set[str]:
        return {attrs["href"] or "" for _, attrs in self.page.tags if "href" in attrs}

    @property
    def sources(self) -> set[str]:
        return {attrs["src"] or "" for _, attrs in self.page.tags if "src" in attrs}


class Tags(HTMLParser):
    """The elements of a page, its styles, and its text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.style, self.text, self.inside = "", "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.tags.append((tag, dict(attrs)))
        self.style += f"{dict(attrs).get('style', '')};"

    def handle_endtag(self, tag: str) -> None:
        self.inside = "" if tag == self.inside else self.inside

    def handle_data(self, data: str) -> None:
        if self.inside == "style":
            self.style += data
        else:
            self.text += data


#: All that a mail is made of.
PLAIN = frozenset("html head meta title style body div table thead tbody tr td th h1 h2 p a span img".split())  # noqa: SIM905


def receive(message: EmailMessage) -> Received:
    """Write a message, read it back as a program at the other end does, and check what holds for all of them."""
    raw = write_eml(message)
    assert raw == message.as_bytes()
    back = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(back, EmailMessage)
    assert [part.defects for part in back.walk() if part.defects] == []
    assert back.get_content_type() == "multipart/alternative"
    plain, page = back.iter_parts()
    pictures: list[Any] = []
    if page.get_content_type() == "multipart/related":
        page, *pictures = page.iter_parts()
    for part, kind in ((plain, "text/plain"), (page, "text/html")):
        assert (part.get_content_type(), part.get_content_charset()) == (kind, "utf-8")
    text, html = (part.get_content().replace("\r\n", "\n") for part in (plain, page))
    found = Received(raw, back, text, html, pictures)
    assert {f"cid:{part['Content-ID'].strip('<>')}" for part in pictures} == found.sources
    assert len(found.html.encode("utf-8")) <= 90_000
    assert {tag for tag, _ in found.page.tags} <= PLAIN
    assert not {name for _, attrs in found.page.tags for name in attrs if name.startswith("on")}
    assert not re.search(r"position|flex|float|@import|url\(|expression|\\", found.page.style)
    assert {link for link in found.links if link not in found.text} == set()
    return found
