"""One connection to a mail server: encrypted, certificates verified, and an answer that says what is certain and what is not.

`smtplib` brings the commands and replies. Its `sendmail` is not used: it sends the whole message in one go, so that nobody can tell a
connection lost before the final dot, when the message cannot have arrived, from one lost after it, when it may have.
"""

from __future__ import annotations

import select
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from reportgen.mail.address import Address
from reportgen.post.letters import Wire
from reportgen.post.server import SendError, Server, open_server, scrub

_AUTH_CODES = (530, 534, 535, 538)
_TOO_LARGE = (552, 523)


class Result(Enum):
    """What became of one attempt to send one message."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  #: for good
    UNABLE = "unable"  #: this server cannot carry it; nothing was sent
    LATER = "later"  #: not now; the message has certainly not arrived
    IN_DOUBT = "in doubt"  #: it may have arrived


@dataclass(frozen=True)
class Answer:
    """The answer of a server to one message.

    Attributes
    ----------
    result : Result
    code : int
        SMTP code, 0 where there was none.
    words : str
        The server's, in one line, without the address of the recipient.
    digest : str
        SHA-256 of the reply as it came, hexadecimal.
    begun : bool
        Whether the journal was told that the message is about to go out.
    lost : bool
        Whether the connection is gone.
    """

    result: Result
    code: int = 0
    words: str = ""
    digest: str = ""
    begun: bool = False
    lost: bool = False


class Connection:
    """An open, encrypted, logged-in connection.

    Parameters
    ----------
    server : Server

    Raises
    ------
    SendError
        What trying again does not heal: certificate, no STARTTLS, login.
    LostError
        Not reachable, or not now.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._smtp = open_server(server)
        self.sent = 0

    def deliver(self, sender: Address | None, box: Address, wire: Wire, about: Callable[[], None]) -> Answer:
        """Send one message to one recipient.

        Parameters
        ----------
        sender : Address or None
            Where bounces go; None for nowhere (``<>``).
        box : Address
        wire : Wire
        about : callable
            Called when the server waits for the message and nothing of it has been sent. What it raises comes through.

        Raises
        ------
        SendError
            The server does not take messages from us at all.
        """
        reason = self._cannot(sender, box, wire)
        if reason:
            return Answer(Result.UNABLE, 0, reason)
        begun = False
        try:
            for command in self._envelope(sender, box, wire):
                code, words = self._smtp.docmd(command)
                if code != 354 if command == "DATA" else code // 100 != 2:
                    return self._no(command, code, words, sender, box)
            begun = True
            about()
            self._smtp.send(wire.data)
            if self._spoke_early():
                return Answer(Result.LATER, 0, "the server left before the message was whole", begun=True, lost=True)
        except (OSError, smtplib.SMTPException):
            return Answer(Result.LATER, 0, "the connection was lost", begun=begun, lost=True)
        return self._finish(box)

    def _cannot(self, sender: Address | None, box: Address, wire: Wire) -> str:
        """What the message needs and the server does not offer; empty when it can go."""
        if not self._smtp.has_extn("smtputf8"):
            wanting = (
                ("address", box.needs_utf8),
                ("sender", bool(sender and sender.needs_utf8)),
                ("header", wire.utf8_head),
            )
            if what := next((name for name, needed in wanting if needed), ""):
                return f"the {what} has letters that only SMTPUTF8 allows, and the server does not offer it"
        if not wire.ascii and not self._smtp.has_extn("8bitmime"):
            return "the message has bytes that only 8BITMIME allows, and the server does not offer it"
        return ""

    def _envelope(self, sender: Address | None, box: Address, wire: Wire) -> tuple[str, str, str]:
        utf8 = box.needs_utf8 or bool(sender and sender.needs_utf8) or wire.utf8_head
        options = f" SIZE={len(wire.data)}" if self._smtp.has_extn("size") else ""
        options += ("" if wire.ascii else " BODY=8BITMIME") + (" SMTPUTF8" if utf8 else "")
        self._smtp.command_encoding = "utf-8" if utf8 else "ascii"
        return f"MAIL FROM:<{sender.spec if sender else ''}>{options}", f"RCPT TO:<{box.spec}>", "DATA"

    def _no(self, command: str, code: int, words: bytes, sender: Address | None, box: Address) -> Answer:
        """The server did not want the message, and said so before it came."""
        told = scrub(words, *_names(box), *_names(sender))
        if code in _AUTH_CODES:
            raise SendError(f"the server wants another login ({code} {told}); check user and password")
        if command.startswith("MAIL") and code // 100 == 5 and code not in _TOO_LARGE:
            raise SendError(
                f"the server refuses the sender ({code} {told}); check the address that the mail comes from"
            )
        lost = code == 421 or code // 100 not in (4, 5) or not self._reset()
        return Answer(Result.REFUSED if code // 100 == 5 else Result.LATER, max(code, 0), told, lost=lost)

    def _reset(self) -> bool:
        try:
            return self._smtp.docmd("RSET")[0] == 250
        except (OSError, smtplib.SMTPException):
            return False

    def _spoke_early(self) -> bool:
        """Whether the server said something, or left, before the final dot. Then it does not get the dot, and so not the message."""
        sock, file = self._smtp.sock, self._smtp.file
        assert sock is not None
        assert file is not None
        poll = select.poll()  # select() knows no descriptor above 1,023
        poll.register(sock, select.POLLIN)
        if poll.poll(0):
            return True
        sock.settimeout(0)  # what came together with an earlier reply lies in the buffer of the file
        try:
            return bool(file.peek(1))
        except ssl.SSLWantReadError:
            return False
        finally:
            sock.settimeout(self._server.seconds)

    def _finish(self, box: Address) -> Answer:
        """Send the final dot. From here on a lost connection leaves a doubt."""
        try:
            self._smtp.send(b".\r\n")
            assert self._smtp.sock is not None
            self._smtp.sock.settimeout(self._server.final_seconds)
            code, words = self._smtp.getreply()
            self._smtp.sock.settimeout(self._server.seconds)
        except (OSError, smtplib.SMTPException):
            return Answer(Result.IN_DOUBT, 0, "the connection was lost before the answer", begun=True, lost=True)
        self.sent += 1
        result = {2: Result.ACCEPTED, 4: Result.LATER, 5: Result.REFUSED}.get(code // 100, Result.IN_DOUBT)
        digest = sha256(b"%d " % code + words).hexdigest()
        told = scrub(words, *_names(box))
        return Answer(result, max(code, 0), told, digest, begun=True, lost=code == 421 or result is Result.IN_DOUBT)

    def close(self, polite: bool) -> None:
        """End the connection. To say good-bye first takes a server that is waiting for a command."""
        try:
            if polite and self._smtp.sock is not None:
                self._smtp.sock.settimeout(min(2.0, self._server.seconds))
                self._smtp.quit()
        except (OSError, smtplib.SMTPException):
            pass  # it is gone already
        finally:
            self._smtp.close()


def _names(box: Address | None) -> tuple[str, ...]:
    """What of an address could stand in the server's words by itself."""
    return () if box is None else (box.local, box.local.partition("+")[0], box.domain)
