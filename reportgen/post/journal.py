"""The journal of a sending: what was about to be sent, and what the server said. It is why nobody gets a mail twice.

A line is on the disk before the bytes that it speaks of go out, and the answer is written the moment it comes. Whoever dies in between
leaves a message *in doubt*: it may have arrived, so it is not sent again unless that is asked for. Lines only grow at the end; each has
its number and a checksum. The journal knows keys, never addresses.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from reportgen.output.durable import no_trouble
from reportgen.output.entries import KEY, sealed_line
from reportgen.output.places import fill
from reportgen.post.journal_record import SCHEMA, TEST, Binding, JournalError, Record, State, follow

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Journal:
    """The journal of one sending, open for writing and locked.

    Parameters
    ----------
    path : Path
        Made when absent, readable for its owner only.
    binding : Binding
    renew : bool
        Begin anew. For a test round only: the record of a real sending is never thrown away.

    Raises
    ------
    JournalError
        Somebody else has it open, it is damaged, or it belongs to another run, content or purpose.
    OutputError
        It cannot be written.
    """

    def __init__(self, path: Path, binding: Binding, renew: bool = False) -> None:
        if renew and binding.purpose != TEST:
            raise JournalError(f"{path}: only the journal of a test round can be begun anew")
        self.path = path
        self._broken = False
        self._unsynced = False
        with no_trouble(path):
            self._file = _open(path)
        try:
            with no_trouble(path):
                _lock(self._file, path)
                self.record = self._take_up(binding, renew)
        except BaseException:
            os.close(self._file)
            raise

    def _take_up(self, binding: Binding, renew: bool) -> Record:
        with open(os.dup(self._file), "rb") as file:
            file.seek(0)
            record, size = follow(self.path, file)
        if record.binding is not None and record.binding.purpose == TEST and renew:
            record, size = Record(), 0
        if record.binding not in (None, binding):
            raise JournalError(_of_another(self.path, record.binding, binding))
        # An unfinished line goes, or the next one would be written onto its end.
        os.ftruncate(self._file, size)
        os.fsync(self._file)
        if record.binding is None:
            line = sealed_line({"n": 0, "schema": SCHEMA, **asdict(binding)})
            fill(self._file, line)
            os.fsync(self._file)
            _sync_folder(self.path)
            record.take(line)
        return record

    def about(self, key: str, message: str, again: bool = False) -> None:
        """Say that a message is about to go out. When this returns the line is on the disk, and so are all before it.

        Parameters
        ----------
        key : str
        message : str
            SHA-256 of its bytes, hexadecimal.
        again : bool
            Whether somebody decided that a message in doubt, or refused before, is to go out all the same.

        Raises
        ------
        JournalError
            The message was accepted before, or it is in doubt or refused and `again` is not set. Nothing was written.
        """
        state = self.record.states.get(key)
        if state is State.ACCEPTED or (state in (State.IN_DOUBT, State.REFUSED) and not again):
            raise JournalError(
                f"{self.path}: a message that is {state.name.lower()} was about to be sent again; report this"
            )
        self._write(key, State.IN_DOUBT, message=message)
        self.sync()

    def accepted(self, key: str, reply: str) -> None:
        """Note that the server took it; `reply` is the hash of its answer.

        The line is with the operating system at once, so it outlives this process. It is on the disk with the next `about` or `sync`,
        hence before another message goes out: a power cut in between leaves this one in doubt and no other.
        """
        self._write(key, State.ACCEPTED, reply=reply)

    def refused(self, key: str, code: int, words: str) -> None:
        """Note that the server will never take it."""
        self._write(key, State.REFUSED, code=code, words=words)

    def waiting(self, key: str, code: int) -> None:
        """Note that a message that was about to go out did certainly not arrive."""
        self._write(key, State.WAITING, code=code)

    def sync(self) -> None:
        """Bring everything to the disk.

        Raises
        ------
        OutputError
            Never tried again: after a failed sync the system may have dropped the data and say yes the second time.
        """
        if self._unsynced:
            with self._careful():
                os.fsync(self._file)
            self._unsynced = False

    def _write(self, key: str, state: State, **facts: object) -> None:
        if not KEY.fullmatch(key):
            raise ValueError("a journal holds keys of users only: 24 letters or digits of base32")
        if self.record.states.get(key) is State.ACCEPTED:
            raise JournalError(f"{self.path}: something else was to be noted of an accepted message; report this")
        line = sealed_line({"n": self.record.lines, "what": state.value, "key": key, **facts})
        with self._careful():
            fill(self._file, line)
        self._unsynced = True
        self.record.take(line)

    @contextmanager
    def _careful(self) -> Iterator[None]:
        """A line that was cut short must be the last one: after any trouble nothing more is written."""
        if self._broken:
            raise JournalError(f"{self.path}: the journal could not be written before; nothing more is sent")
        try:
            with no_trouble(self.path):
                yield
        except BaseException:
            self._broken = True
            raise

    def close(self) -> None:
        """Bring everything to the disk and give the lock back."""
        if self._file < 0:
            return
        try:
            if not self._broken:
                self.sync()
        finally:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _open(path: Path) -> int:
    try:
        file = os.open(path, _FLAGS, 0o600)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
        raise JournalError(
            f"{path} is a link or no plain file, so no journal can be kept there; name another"
        ) from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise JournalError(f"{path} is no plain file, so no journal can be kept there; name another")
    return file


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system takes it back when the process dies
    except BlockingIOError as error:
        raise JournalError(f"{path} is in use: another process is sending this run; wait for it") from error


def _sync_folder(path: Path) -> None:
    folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _of_another(path: Path, found: Binding | None, wanted: Binding) -> str:
    plain = asdict(found) if found is not None else {}
    different = ", ".join(name for name, value in asdict(wanted).items() if plain.get(name) != value).replace("_", " ")
    return f"{path} is the journal of something else (another {different}); name another journal"
