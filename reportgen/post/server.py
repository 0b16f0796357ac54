"""A mail server: how to reach it, and a connection that is encrypted, verified and logged in before anything is said on it."""

from __future__ import annotations

import base64
import re
import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from reportgen.errors import ConfigError, ReportgenError
from reportgen.text import clean

Security = Literal["starttls", "tls", "none"]
SMTPS = 465
#: RFC 5321, 4.5.3.2.6: a server may take ten minutes to take a message over, and who leaves early makes a doubt or a duplicate.
FINAL_SECONDS = 600.0
_GONE = "(address)"


class SendError(ReportgenError):
    """The server cannot be used at all: not reachable, not trusted, or it refuses us. Nothing about one recipient."""


class LostError(Exception):
    """The server is not there, or says that it does not serve now. Trying again may help.

    Attributes
    ----------
    answered : bool
        Whether there was a mail server at all.
    """

    def __init__(self, words: str, answered: bool = False) -> None:
        super().__init__(words)
        self.answered = answered


@dataclass(frozen=True)
class Server:
    """How to reach a mail server.

    Attributes
    ----------
    host : str
    port : int
    security : {"starttls", "tls", "none"}
        ``tls`` from the first byte, as on port 465; ``starttls`` as on 587 and 25. ``none`` sends the mail readable for everybody on the
        way and is refused together with a login.
    user, password : str
        Empty for no login. Never shown.
    authorities : Path or None
        PEM file of certificate authorities; None for those of the system.
    seconds : float
        How long to wait for a connection or an answer.
    final_seconds : float
        How long to wait for the answer to a whole message.
    hello : str
        Name to greet with; empty for the own address of the connection, ``[192.0.2.1]``.

    Raises
    ------
    ConfigError
    """

    host: str
    port: int
    security: Security = "starttls"
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    authorities: Path | None = None
    seconds: float = 60.0
    final_seconds: float = FINAL_SECONDS
    hello: str = ""

    def __post_init__(self) -> None:
        if self.user and self.security == "none":
            raise ConfigError("a login without encryption would give the password away; use STARTTLS or TLS")
        if bool(self.user) != bool(self.password):
            raise ConfigError("a login needs a user and a password; give both or neither")
        if not 0 < self.port < 65536:
            raise ConfigError(f"port {self.port} is none; ports are 1 to 65535")


def read_server(text: str) -> tuple[str, int, Security]:
    """Read ``host:port`` (``[::1]:587`` for IPv6); port 465 means TLS, any other STARTTLS.

    Raises
    ------
    ConfigError
    """
    host, colon, port = text.strip().rpartition(":")
    if host[:1] == "[" and host[-1:] == "]":
        host = host[1:-1]
    elif ":" in host:
        host = ""
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port) or not re.fullmatch(r"[^\s@/\[\]]+", host):
        raise ConfigError("the mail server is written host:port, such as smtp.example.org:587 or [2001:db8::25]:465")
    return host, int(port), "tls" if int(port) == SMTPS else "starttls"


def open_server(server: Server) -> smtplib.SMTP:
    """Connect, encrypt, log in.

    Raises
    ------
    SendError
        What trying again does not heal: certificate, no STARTTLS, login.
    LostError
        Not reachable, or not now.
    """
    try:
        return _connect(server)
    except (OSError, smtplib.SMTPException) as error:
        raise _why_not(server, error) from None  # the chain could show what was sent, such as a password


def _connect(server: Server) -> smtplib.SMTP:
    context = None
    if server.security != "none":
        context = ssl.create_default_context(cafile=server.authorities and str(server.authorities))
    # With a name given, nobody asks the network for the name of this machine, which is no business of the server's either.
    if server.security == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, "localhost", timeout=server.seconds, context=context
        )
    else:
        smtp = smtplib.SMTP(server.host, server.port, "localhost", timeout=server.seconds)
    try:
        assert smtp.sock is not None
        # The final dot is a small packet after others: without this it waits for their acknowledgement, 40 ms on Linux.
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        smtp.local_hostname = server.hello or _literal(smtp.sock.getsockname()[0])
        smtp.ehlo_or_helo_if_needed()
        if server.security == "starttls":
            smtp.starttls(context=context)
            smtp.ehlo_or_helo_if_needed()
        if server.user:
            _login(smtp, server)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _literal(own: str) -> str:
    return f"[IPv6:{own}]" if ":" in own else f"[{own}]"


def _login(smtp: smtplib.SMTP, server: Server) -> None:
    """PLAIN where it is offered, in UTF-8 (RFC 4616); the methods of `smtplib` are for ASCII only."""
    if "PLAIN" not in smtp.esmtp_features.get("auth", "").upper().split():
        if not (server.user + server.password).isascii():
            raise smtplib.SMTPNotSupportedError("the server offers no login that carries letters beyond ASCII")
        smtp.login(server.user, server.password)
        return
    token = base64.b64encode(f"\0{server.user}\0{server.password}".encode()).decode("ascii")
    code, words = smtp.docmd("AUTH", f"PLAIN {token}")
    if code not in (235, 503):
        raise smtplib.SMTPAuthenticationError(code, scrub(words, token))


def _why_not(server: Server, error: Exception) -> SendError | LostError:
    """Tell what a remedy exists for from what may pass."""
    at = f"{server.host}:{server.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return SendError(
            f"{at} shows a certificate that cannot be trusted ({error.verify_message}); name its authority or its host"
        )
    if isinstance(error, ssl.SSLError):
        return SendError(
            f"{at}: no encryption could be agreed on ({error.reason}); port 465 takes TLS, 587 and 25 STARTTLS"
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        what = (
            "STARTTLS"
            if server.security == "starttls" and "STARTTLS" in str(error)
            else "a login that can be used here"
        )
        return SendError(f"{at} does not offer {what}; nothing was sent in the open")
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error if isinstance(error.smtp_error, bytes) else str(error.smtp_error).encode()
        told = f"{at} said {error.smtp_code} {scrub(words, server.user, server.password)}"
        if error.smtp_code // 100 != 5:
            return LostError(told, answered=True)
        login = isinstance(error, smtplib.SMTPAuthenticationError)
        return SendError(f"{told}; check {'user and password' if login else 'whether it serves this machine'}")
    return LostError(f"{at}: {getattr(error, 'strerror', None) or clean(str(error)) or type(error).__name__}")


def scrub(words: bytes, *secrets: str) -> str:
    """The words of a server in one line, without anything that has the form of an address and without the given words.

    Servers like to repeat the address that they refuse, and these words go to lists and logs.
    """
    text = clean(words.decode("utf-8", "replace"), 2000)
    text = re.sub(r"\S*(?:@|＠|%40|=40)\S*", _GONE, text)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", _GONE, text, flags=re.IGNORECASE)
    return clean(text, 200)
