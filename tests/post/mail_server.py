"""A real mail server on loopback for tests: aiosmtpd, with faults on demand."""

# ruff: noqa: N802, ARG002 (aiosmtpd calls its hooks by these names, with these arguments)

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from reportgen.post.letters import Letter

#: What a server can be told to do instead of answering.
DROP, VANISH = "drop", "vanish"


@dataclass
class Post:
    """What a server took, and what it is to do.

    Attributes
    ----------
    taken : list of (sender, recipient, bytes)
        Messages that were taken over, whatever the sender was told.
    said : Counter
        By stage and recipient, how often it got there.
    faults : dict
        (stage, recipient or "") -> replies or deeds, used up one by one. Stages: EHLO, MAIL, RCPT, DATA (the command), BODY (in the
        midst of the message, `DROP` only), END (after the final dot; `DROP`: refuse and leave, `VANISH`: take it and leave without
        a word), AFTER (`DROP`: answer, then leave).
    delay : float
        Seconds before the answer to a message.
    kill_at : dict
        Number of taken messages -> process that is killed when so many have been taken, before the answer.
    """

    taken: list[tuple[str, str, bytes]] = field(default_factory=list)
    said: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    delay: float = 0.0
    logins: list[str] = field(default_factory=list)
    kill_at: dict[int, int] = field(default_factory=dict)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def fault(self, stage: str, recipient: str = "") -> str:
        self.said[stage, recipient] += 1
        for name in (recipient, ""):
            if self.faults[stage, name]:
                return self.faults[stage, name].pop(0)
        return ""

    def by_recipient(self) -> Counter[str]:
        return Counter(recipient for _, recipient, _ in self.taken)


class FaultySMTP(SMTP):
    """aiosmtpd's server; only what goes wrong on the way is added."""

    post: Post
    hidden: tuple[str, ...] = ()

    async def push(self, status: Any) -> None:
        # An extension can be kept from the greeting, as a box between client and server may do.
        if any(isinstance(status, str) and status[4:].startswith(word) for word in self.hidden) and status[3] == "-":
            return
        await super().push(status)

    async def smtp_DATA(self, arg: str) -> None:
        recipient = self.envelope.rcpt_tos[0]
        reply = self.post.fault("DATA", recipient)
        if reply == DROP:
            return self.leave()
        if reply:
            return await self.push(reply)
        if self.post.fault("BODY", recipient) == DROP:
            await self.push("354 go on")
            await self._reader.readuntil(b"\r\n")
            return self.leave()
        await super().smtp_DATA(arg)
        if self.post.fault("AFTER", recipient) == DROP:
            await asyncio.sleep(0.05)
            self.leave()
        return None

    def leave(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Hooks:
    """The deeds of a `Post` as aiosmtpd calls them."""

    def __init__(self, post: Post) -> None:
        self.post = post

    def _answer(self, server: FaultySMTP, reply: str, otherwise: str) -> str:
        if reply == DROP:
            server.leave()
        return reply or otherwise

    async def handle_EHLO(
        self, server: Any, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        reply = self.post.fault("EHLO")
        return [reply] if reply else responses

    async def handle_MAIL(self, server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
        reply = self.post.fault("MAIL")
        if not reply:
            envelope.mail_from = address or ""
            envelope.mail_options += options
        return self._answer(server, reply, "250 OK")

    async def handle_RCPT(self, server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:
        reply = self.post.fault("RCPT", address)
        if not reply:
            envelope.rcpt_tos.append(address)
        return self._answer(server, reply, "250 OK")

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:
        recipient = envelope.rcpt_tos[0]
        reply = self.post.fault("END", recipient)
        if reply and reply != VANISH:
            return self._answer(server, reply, "")
        self.post.taken.append((envelope.mail_from, recipient, bytes(envelope.content)))
        self.post.arrived.release()
        victim = self.post.kill_at.pop(len(self.post.taken), 0)
        if victim:
            os.kill(victim, signal.SIGKILL)
        if self.post.delay:
            await asyncio.sleep(self.post.delay)
        if reply == VANISH:
            server.leave()
        return "250 taken"


class _Controller(Controller):
    def __init__(self, post: Post, kind: type[FaultySMTP], **more: Any) -> None:
        self._kind = kind
        super().__init__(Hooks(post), hostname="127.0.0.1", port=free_port(), **more)

    def factory(self) -> SMTP:
        return self._kind(self.handler, **self.SMTP_kwargs)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def mail_server(
    post: Post,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
    hidden: tuple[str, ...] = (),
    **more: Any,
) -> Iterator[int]:
    """Run a server; yields its port.

    Parameters
    ----------
    tls, starttls : SSLContext, optional
        Encrypted from the first byte, or on command.
    login : (user, password), optional
        Asked for, and then needed.
    hidden : tuple of str
        Extensions that the greeting does not name.
    """

    def authenticate(_server: Any, _session: Any, _envelope: Any, mechanism: str, data: Any) -> AuthResult:
        post.logins.append(mechanism)
        assert login is not None
        good = isinstance(data, LoginPassword) and (data.login, data.password) == tuple(word.encode() for word in login)
        return AuthResult(success=good, handled=False)

    kind = type("Kind", (FaultySMTP,), {"post": post, "hidden": hidden})
    if login is not None:
        # auth_require_tls stays on, except that a connection which is TLS from the first byte does not count as such there.
        more |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": tls is None}
    controller = _Controller(post, kind, ssl_context=tls, tls_context=starttls, ident="test", **more)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def key_of(number: int) -> str:
    """A key of the form that pseudonyms have."""
    letters = "234567abcdefghijklmnopqrstuvwxyz"
    return "".join(letters[number >> 5 * k & 31] for k in range(24))


def address_of(number: int) -> str:
    return f"reader{number}@shop.test"


def message_of(number: int, to: str = "") -> bytes:
    return (
        f"From: shop@shop.test\r\nTo: {to or address_of(number)}\r\nSubject: Why we suggested this\r\n"
        f"Message-ID: <{number}@shop.test>\r\nList-Unsubscribe: <https://shop.test/u/{number}>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=us-ascii\r\n\r\nmessage {number}\r\n.a line that begins with a dot\r\n.\r\nthe end\r\n"
    ).encode()


def letters(count: int, make: Callable[[int], bytes] = message_of) -> Iterator[Letter]:
    """So many letters, made when they are asked for."""
    for number in range(count):
        yield Letter(key_of(number), address_of(number), lambda number=number: make(number))
