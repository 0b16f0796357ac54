"""Sending the messages of a run through a mail server: each once, at a measured pace, and to be continued after any interruption."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from reportgen.errors import ConfigError
from reportgen.mail.address import Address, AddressError, read_address
from reportgen.post.journal import Journal
from reportgen.post.journal_record import TEST, JournalError, Record, State
from reportgen.post.letters import Letter
from reportgen.post.office import Left, Office
from reportgen.post.pace import Pace, Retries
from reportgen.post.sent import SendSummary
from reportgen.post.server import Server
from reportgen.post.suppressed import Suppressed

__all__ = ["Letter", "Retries", "SendSummary", "Server", "send"]
_NOBODY = Suppressed()


def _say_nothing(_sent: int, _seen: int) -> None:
    """What `send` tells its progress to when nobody asked."""


def send(
    outbox: Iterable[Letter],
    server: Server,
    journal: Journal | Record,
    *,
    sender: str,
    rate: float,
    retries: Retries,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    to_override: str | None = None,
    dry_run: bool = False,
    suppressed: Suppressed = _NOBODY,
    opted_out: Collection[str] = frozenset(),
    again: Collection[State] = frozenset(),
    stopping: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], object] = _say_nothing,
) -> SendSummary:
    """Send each letter at most once.

    Parameters
    ----------
    outbox : iterable of Letter
        Read one by one.
    server : Server
    journal : Journal or Record
        A `Record` is enough for a dry run, which writes nothing.
    sender : str
        Address that bounces go to; empty for none.
    rate : float
        Messages per second at most, first attempts and further ones.
    retries : Retries
    clock : callable
        Seconds that never go back, such as `time.monotonic`.
    sleep : callable
        Such as `time.sleep`; called with short times, so that `stopping` is heard.
    to_override : str, optional
        Send everything to this address. Needs the journal of a test round.
    dry_run : bool
        Make and check everything, open no connection, write nothing.
    suppressed : Suppressed
    opted_out : collection of str
        Keys.
    again : collection of State
        `State.IN_DOUBT`, `State.REFUSED` or both: what an earlier sending left so is sent once more, by decision of the caller.
    stopping : callable
        Asked between messages and in pauses; `reportgen.batch.signals.stopping` gives one. The message in flight is finished.
    progress : callable
        Called after each letter with the number of letters sent and seen.

    Returns
    -------
    SendSummary
        Also when the server cannot be used or we were stopped: see `SendSummary.stopped`. The journal then holds what was done.

    Raises
    ------
    ConfigError
        `sender`, `to_override` or `rate` cannot be used.
    JournalError
        The journal is not one for this.
    OutputError
        The journal cannot be written. Nothing is sent without it.
    """
    if not rate > 0:
        raise ConfigError(f"a rate of {rate:g} messages per second sends nothing; give a number above 0")
    _check_journal(journal, to_override is not None, dry_run)
    bounces = _own(sender, "the sender") if sender else None
    override = _own(to_override, "the address of the test round") if to_override is not None else None
    left = Left(suppressed, frozenset(opted_out), frozenset(again))
    office = Office(journal, server, bounces, override, left, retries, Pace(rate, clock, sleep, stopping))
    return office.run(outbox, dry_run, progress)


def _own(address: str, what: str) -> Address:
    try:
        return read_address(address)
    except AddressError as error:
        raise ConfigError(f"{what} is no address: {error}") from error


def _check_journal(journal: Journal | Record, test: bool, dry_run: bool) -> None:
    record = journal.record if isinstance(journal, Journal) else journal
    if not dry_run and not isinstance(journal, Journal):
        raise JournalError("to send, a journal must be open for writing")
    if record.binding is not None and (record.binding.purpose == TEST) is not test:
        raise JournalError("a test round has a journal of its own, and a real sending never uses that of a test round")
