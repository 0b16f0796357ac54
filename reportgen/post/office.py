"""The loop behind `reportgen.post.send`: whom to leave alone, whose turn it is, what an answer means, when to give up."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from reportgen.mail.address import Address, AddressError, read_address
from reportgen.output.entries import KEY
from reportgen.post.journal import Journal
from reportgen.post.journal_record import Note, Record, State
from reportgen.post.letters import Letter, Wire, check_recipient, redirected, wire_form
from reportgen.post.pace import Pace, Retries
from reportgen.post.sent import SendSummary
from reportgen.post.server import LostError, SendError, Server
from reportgen.post.smtp import Answer, Connection, Result
from reportgen.post.suppressed import Suppressed

#: Letters put off at one time. When so many wait, no new one is begun: the server has enough.
MOST_WAITING = 1000
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Left:
    """Who is left alone, and what left alone before is taken up again."""

    suppressed: Suppressed
    opted_out: frozenset[str]
    again: frozenset[State]


@dataclass(order=True)
class _Task:
    due: float
    number: int
    letter: Letter = field(compare=False)
    box: Address = field(compare=False)
    attempts: int = field(default=0, compare=False)
    note: Note | None = field(default=None, compare=False)


class Office:
    """One sending. See `reportgen.post.send.send` for the parameters."""

    def __init__(
        self,
        journal: Journal | Record,
        server: Server,
        sender: Address | None,
        override: Address | None,
        left: Left,
        retries: Retries,
        pace: Pace,
    ) -> None:
        self._journal = journal if isinstance(journal, Journal) else None
        self._record = journal.record if isinstance(journal, Journal) else journal
        self._server, self._sender, self._override = server, sender, override
        self._left, self._retries, self._pace = left, retries, pace
        self._connection: Connection | None = None
        self._reached = False
        self._waiting: list[_Task] = []
        self._given_up: list[Note] = []
        self._unsendable: list[Note] = []
        self._seen: set[str] = set()
        self._sent = self._sent_before = self._opted_out = self._suppressed = self._doubled = 0
        self._refusals = self._doubts = self._losses = 0

    def run(self, outbox: Iterable[Letter], dry_run: bool, progress: Callable[[int, int], object]) -> SendSummary:
        """Send everything that is to be sent, or say what would be."""
        stopped = ""
        try:
            for task in self._tasks(outbox):
                if dry_run:
                    self._sent += self._wire(task) is not None
                else:
                    self._attempt(task)
                progress(self._sent, len(self._seen))
            self._hang_up(polite=True)
        except SendError as error:
            stopped = str(error)
        finally:
            self._hang_up()
        self._sync()
        return self._summary(stopped or (INTERRUPTED if self._pace.stopping() else ""), dry_run)

    def _summary(self, stopped: str, dry_run: bool) -> SendSummary:
        waiting = [*self._given_up, *(task.note for task in sorted(self._waiting) if task.note is not None)]
        return SendSummary(
            self._sent,
            self._sent_before,
            self._opted_out,
            self._suppressed,
            self._doubled,
            tuple(self._record.in_doubt()),
            tuple(self._record.refused.values()),
            tuple(waiting),
            tuple(self._unsendable),
            stopped,
            dry_run,
        )

    # --- whose turn it is

    def _tasks(self, outbox: Iterable[Letter]) -> Iterator[_Task]:
        """Letters in their order; those put off come between them when they are due, and at the end."""
        for letter in outbox:
            while self._waiting and (len(self._waiting) >= MOST_WAITING or self._waiting[0].due <= self._pace.clock()):
                if self._pace.stopping():
                    return
                yield from self._next_waiting()
            if self._pace.stopping():
                return
            if (task := self._admit(letter)) is not None:
                yield task
        while self._waiting and not self._pace.stopping():
            yield from self._next_waiting()

    def _next_waiting(self) -> Iterator[_Task]:
        self._rest(self._waiting[0].due)
        if not self._pace.stopping():
            yield heapq.heappop(self._waiting)

    def _admit(self, letter: Letter) -> _Task | None:
        """Whether a letter is to be sent at all."""
        key = letter.key
        if not KEY.fullmatch(key):
            raise ValueError("the key of a letter is no pseudonym: 24 letters or digits of base32")
        state = self._record.states.get(key)
        if key in self._seen:
            self._doubled += 1
            return None
        self._seen.add(key)
        if state is State.ACCEPTED:
            self._sent_before += 1
        elif key in self._left.opted_out:
            self._opted_out += 1
        elif state not in (State.IN_DOUBT, State.REFUSED) or state in self._left.again:
            return self._addressed(letter)
        return None

    def _addressed(self, letter: Letter) -> _Task | None:
        if letter.trouble:
            self._unable(letter.key, letter.trouble)
            return None
        try:
            box = read_address(letter.recipient)
        except AddressError as error:
            self._unable(letter.key, str(error))
            return None
        if self._left.suppressed.holds(letter.key, box):
            self._suppressed += 1
            return None
        return _Task(0.0, len(self._seen), letter, box)

    def _unable(self, key: str, why: str) -> None:
        self._unsendable.append(Note(key, 0, why))

    # --- one attempt

    def _wire(self, task: _Task) -> Wire | None:
        """Make and check a message. One that fails stops nobody else."""
        try:
            message = task.letter.made()
        except Exception as error:  # whatever a template or the data of one person does
            self._unable(task.letter.key, f"the message cannot be made ({type(error).__name__})")
            return None
        try:
            check_recipient(message, task.box)
            return wire_form(message if self._override is None else redirected(message, self._override))
        except ValueError as error:
            self._unable(task.letter.key, str(error))
            return None

    def _attempt(self, task: _Task) -> None:
        wire = self._wire(task)
        if wire is None:
            return
        if self._pace.next > self._pace.clock():
            self._sync()
        self._pace.take_turn()
        try:
            connection = self._connected()
            if connection is None or self._pace.stopping():
                heapq.heappush(self._waiting, task)
                return
            answer = connection.deliver(self._sender, self._override or task.box, wire, lambda: self._about(task, wire))
        except SendError:
            heapq.heappush(self._waiting, task)
            raise
        self._settle(task, answer, connection.sent > 0)

    def _about(self, task: _Task, wire: Wire) -> None:
        again = self._record.states.get(task.letter.key) in self._left.again
        self._writing().about(task.letter.key, wire.digest, again)

    def _connected(self) -> Connection | None:
        """The connection, opened when there is none; None when we are to stop meanwhile."""
        lost = 0
        while self._connection is None and not self._pace.stopping():
            try:
                self._connection = Connection(self._server)
                self._reached = True
            except LostError as error:
                lost += 1
                # A server that was never there is a slip of the pen in its name; one that was may come back.
                if lost > self._retries.times or not (self._reached or error.answered):
                    raise SendError(f"the mail server cannot be reached: {error}") from None
                self._rest(self._pace.clock() + self._retries.wait(lost))
        return self._connection

    # --- what an answer means

    def _settle(self, task: _Task, answer: Answer, used: bool) -> None:
        key = task.letter.key
        if answer.lost:
            self._hang_up()
        if answer.result is Result.ACCEPTED:
            self._writing().accepted(key, answer.digest)
            self._sent += 1
        elif answer.result is Result.REFUSED:
            self._writing().refused(key, answer.code, answer.words)
        elif answer.result is Result.UNABLE:
            self._unable(key, answer.words)
        elif answer.result is Result.LATER:
            if answer.begun:
                self._writing().waiting(key, answer.code)
            self._put_off(task, answer, used)
        self._count(answer)

    def _put_off(self, task: _Task, answer: Answer, used: bool) -> None:
        task.note = Note(task.letter.key, answer.code, answer.words)
        if answer.lost and used and not answer.begun:
            task.due = self._pace.clock()  # the server had ended an old connection: that is nobody's failure
        else:
            task.attempts += 1
            task.due = self._pace.clock() + self._retries.wait(task.attempts)
        if task.attempts > self._retries.times:
            self._given_up.append(task.note)
        else:
            heapq.heappush(self._waiting, task)

    def _count(self, answer: Answer) -> None:
        """Tell trouble with a person from trouble with the server."""
        if answer.result is Result.UNABLE:
            return
        accepted = answer.result is Result.ACCEPTED
        self._refusals = 0 if accepted else self._refusals + (answer.result is Result.REFUSED)
        self._doubts = self._doubts + 1 if answer.result is Result.IN_DOUBT else 0
        self._losses = self._losses + 1 if answer.lost else 0
        if self._doubts >= self._retries.doubts_in_a_row:
            raise SendError(
                f"{self._doubts} messages one after another got no answer, so they are in doubt; ask who runs the server"
            )
        if self._refusals >= self._retries.refused_in_a_row:
            raise SendError(
                f"{self._refusals} refusals without a success between them, the last one: {answer.code} {answer.words}"
            )
        if self._losses > self._retries.times + 1:
            raise SendError("the mail server ends every connection before a message is through")
        if self._losses > 1:
            self._rest(self._pace.clock() + self._retries.wait(self._losses - 1))

    # --- the ends

    def _writing(self) -> Journal:
        assert self._journal is not None  # `send` has seen to it
        return self._journal

    def _rest(self, until: float) -> None:
        self._sync()  # while there is nothing else to do
        self._pace.rest(until)

    def _sync(self) -> None:
        if self._journal is not None:
            self._journal.sync()

    def _hang_up(self, polite: bool = False) -> None:
        if self._connection is not None:
            self._connection.close(polite)
            self._connection = None
