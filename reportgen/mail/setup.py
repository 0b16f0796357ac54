"""What a mail needs of the operator, asked for once: law and RFC want a sender, a postal address and a way to stop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from reportgen.config import Config, safe_url
from reportgen.errors import ConfigError
from reportgen.mail.address import MOST_NAME, Address, AddressError, header_text, read_address
from reportgen.text import clean

#: Stands for the reader's own token in the address that stops the mails.
TOKEN = "{token}"
_LIST_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
_TEXT = 400


@dataclass(frozen=True)
class MailSetup:
    """The operator's part of every mail, checked.

    Attributes
    ----------
    sender : Address
    sender_name : str
        Ready for a header.
    reply_to : Address or None
    list_id : str
        RFC 2919, without angle brackets.
    unsubscribe : str
        An ``https`` address with `TOKEN` in it (RFC 8058).
    unsubscribe_to : Address or None
        Takes the same by mail; the token is the subject.
    """

    sender: Address
    sender_name: str
    reply_to: Address | None
    list_id: str
    unsubscribe: str
    unsubscribe_to: Address | None

    def unsubscribe_url(self, token: str) -> str:
        """The reader's own address to stop the mails."""
        return self.unsubscribe.replace(TOKEN, token)


class _Given(NamedTuple):
    """The settings that count here, as a key: 100,000 mails share them."""

    from_address: str
    from_name: str
    reply_to: str
    list_id: str
    unsubscribe: str
    unsubscribe_address: str
    postal: str
    name: str
    plain: str


def _given(config: Config) -> _Given:
    mail, operator = config.mail, config.operator
    return _Given(
        mail.from_address, mail.from_name or operator.name, mail.reply_to, mail.list_id, mail.unsubscribe, mail.unsubscribe_address,
        postal_address(config), operator.name, operator.links.non_personalised,
    )  # fmt: skip


def mail_setup(config: Config) -> MailSetup:
    """Check the settings of mails.

    Raises
    ------
    ConfigError
        Names everything that is missing or wrong, each with its remedy, in one message.
    """
    found = _checked(_given(config))
    if isinstance(found, MailSetup):
        return found
    raise ConfigError(f"no mail can be made with these settings: {'; '.join(found)}")


def mail_problems(config: Config) -> tuple[str, ...]:
    """Everything that keeps mails from being made with these settings, each with its remedy; empty when they can be."""
    found = _checked(_given(config))
    return () if isinstance(found, MailSetup) else found


def postal_address(config: Config) -> str:
    """Where the operator can be reached by letter, in one line; "" where it is not set."""
    return clean(config.mail.postal_address, _TEXT) or clean(config.operator.address, _TEXT)


@lru_cache(maxsize=8)
def _checked(given: _Given) -> MailSetup | tuple[str, ...]:
    if problems := tuple(_problems(given)):
        return problems
    sender = read_address(given.from_address)
    return MailSetup(
        sender,
        header_text(given.from_name, MOST_NAME),
        read_address(given.reply_to) if given.reply_to else None,
        (given.list_id or f"suggestions.{sender.domain}").lower(),
        given.unsubscribe,
        read_address(given.unsubscribe_address) if given.unsubscribe_address else None,
    )


def _problems(given: _Given) -> Iterator[str]:
    yield from _address_problem("from_address", given.from_address, needed=True)
    if not clean(given.name, _TEXT):
        yield "[operator] name is missing: a mail says who answers for it"
    elif not header_text(given.from_name, MOST_NAME):
        yield "[mail] from_name holds nothing that can be shown: a reader must see who writes"
    if not given.postal:
        yield "[mail] postal_address or [operator] address is missing: a mail says where its sender can be reached by letter"
    if not safe_url(given.plain):
        yield "[operator.links] non_personalised is missing: a mail offers suggestions that are not personal"
    yield from _unsubscribe_problem(given.unsubscribe)
    yield from _address_problem("reply_to", given.reply_to)
    yield from _address_problem("unsubscribe_address", given.unsubscribe_address)
    if given.list_id and not (_LIST_ID.fullmatch(given.list_id.lower()) and len(given.list_id) <= 255):
        yield f'[mail] list_id "{clean(given.list_id, 60)}" is no list id (RFC 2919); write for example "suggestions.example.org"'


def _address_problem(key: str, text: str, needed: bool = False) -> Iterator[str]:
    if not text.strip():
        if needed:
            yield f'[mail] {key} is missing: set it to the address that writes, such as "hello@example.org"'
        return
    try:
        found = read_address(text)
    except AddressError as error:
        yield f"[mail] {key} cannot be used: {error}"
        return
    if found.needs_utf8:  # it goes into every mail, and would keep all of them from servers without SMTPUTF8
        yield f"[mail] {key} is not ASCII before the @, which many servers refuse; use another address"


def _unsubscribe_problem(pattern: str) -> Iterator[str]:
    remedy = 'write for example "https://example.org/stop/{token}"'
    if not pattern:
        yield f"[mail] unsubscribe is missing: every mail can be stopped by one click (RFC 8058); {remedy}"
        return
    filled = pattern.replace(TOKEN, "x" * 32)
    if pattern.count(TOKEN) != 1 or not filled.startswith("https://") or safe_url(filled) != filled:
        yield f"[mail] unsubscribe is not an https address with {TOKEN} in it once; {remedy}"
    elif TOKEN in pattern.split("/")[2]:
        yield f"[mail] unsubscribe has {TOKEN} in the host, where servers of names would see it; {remedy}"
