"""What the journal of a sending says: read line by line, without changing it. See `reportgen.post.journal` for how it is written."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from reportgen.errors import OutputError
from reportgen.output.entries import open_line

SCHEMA = "reportgen.sending/1"
REAL, TEST = "real", "test"


class JournalError(OutputError):
    """A journal is in use, damaged, or of something else."""


class State(Enum):
    """What the journal knows of a message."""

    IN_DOUBT = "about"  #: about to be sent, no answer on record
    ACCEPTED = "accepted"  #: the server took it
    REFUSED = "refused"  #: the server said no for good
    WAITING = "waiting"  #: the server said no for now, or its end cannot have reached the server: it may be sent


@dataclass(frozen=True)
class Binding:
    """What a journal belongs to: with another of these it cannot be used.

    Attributes
    ----------
    run_id : str
    content : str
        Hash of what is sent, such as that of the run's manifest.
    purpose : str
        `REAL`, or `TEST` for a round to an address of one's own.
    """

    run_id: str
    content: str
    purpose: str = REAL


@dataclass(frozen=True)
class Note:
    """One message that the server said no to.

    Attributes
    ----------
    key : str
    code : int
        SMTP, such as 550.
    words : str
        The server's, without the address.
    """

    key: str
    code: int
    words: str


class Record:
    """What a journal says, line by line.

    Attributes
    ----------
    binding : Binding or None
        None while there is no first line.
    states : dict of str to State
        By key; a key that never came near the server is not in it.
    refused : dict of str to Note
    lines : int
    """

    def __init__(self) -> None:
        self.binding: Binding | None = None
        self.states: dict[str, State] = {}
        self.refused: dict[str, Note] = {}
        self.lines = 0

    def in_doubt(self) -> list[str]:
        """Keys of messages that may have arrived, sorted."""
        return sorted(key for key, state in self.states.items() if state is State.IN_DOUBT)

    def count(self) -> Counter[State]:
        """How many keys are in each state."""
        return Counter(self.states.values())

    def take(self, line: bytes) -> None:
        """Follow one line.

        Raises
        ------
        ValueError
            It is not as it was written, or not the next one.
        """
        plain = open_line(line)
        if plain.pop("n", None) != self.lines:
            raise ValueError("a line is missing")
        if self.lines == 0:
            self._begin(plain)
        else:
            self._note(plain)
        self.lines += 1

    def _begin(self, plain: dict[str, object]) -> None:
        if plain.pop("schema", None) != SCHEMA or plain.keys() != {"run_id", "content", "purpose"}:
            raise ValueError(f"it does not begin as {SCHEMA}")
        self.binding = Binding(**{name: str(value) for name, value in plain.items()})

    def _note(self, plain: dict[str, object]) -> None:
        state, key = State(plain["what"]), str(plain["key"])
        self.states[key] = state
        self.refused.pop(key, None)
        if state is State.REFUSED:
            self.refused[key] = Note(key, int(str(plain["code"])), str(plain["words"]))


def read_record(path: Path) -> Record:
    """Read a journal without changing it, also while somebody is sending; an absent one is empty.

    Raises
    ------
    JournalError
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as file:
            return follow(path, file)[0]
    except FileNotFoundError:
        return Record()
    except OSError as error:
        raise JournalError(
            f"{path}: the journal cannot be read ({error.strerror}); check the path and its rights"
        ) from error


def follow(path: Path, file: BinaryIO) -> tuple[Record, int]:
    """Read all whole lines; return what they say and how many bytes they have.

    Bytes after the last line end are a line that a dying writer did not finish. What it speaks of was not done yet: they do not count.
    A whole line that is wrong is another matter. It may have said that somebody was written to, so nothing may be sent.
    """
    record, size = Record(), 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        try:
            record.take(line)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise JournalError(
                f"{path}: damaged at line {record.lines + 1} ({error}), so who was written to is not certain and nothing is sent; "
                "put back a copy of the journal"
            ) from error
        size += len(line)
    return record, size
