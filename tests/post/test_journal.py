"""The journal of a sending: any prefix of its bytes tells the truth, and nothing else is believed."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

sys.path.insert(0, str(Path(__file__).parent))

from mail_server import key_of

from reportgen.errors import OutputError
from reportgen.post import journal as journal_module
from reportgen.post.journal import Journal
from reportgen.post.journal_record import TEST, Binding, JournalError, Record, State, read_record

RUN = Binding("0123456789abcdef", "c" * 64)
ROUND = Binding("0123456789abcdef", "c" * 64, TEST)
KEYS = [key_of(number) for number in range(4)]
#: What can happen to a message, and the state it leaves.
STORIES = {
    "accepted": State.ACCEPTED,
    "refused after the message": State.REFUSED,
    "put off after the message": State.WAITING,
    "no answer": State.IN_DOUBT,
    "refused before the message": State.REFUSED,
}


def tell(journal: Journal, key: str, story: str) -> None:
    if story != "refused before the message":
        journal.about(key, "ab" * 32, again=True)
    if story.startswith("refused"):
        journal.refused(key, 550, "no such user")
    elif story == "accepted":
        journal.accepted(key, "cd" * 32)
    elif story == "put off after the message":
        journal.waiting(key, 451)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_what_is_noted_is_read_back(path: Path) -> None:
    with Journal(path, RUN) as journal:
        for key, story in zip(KEYS, STORIES, strict=False):
            tell(journal, key, story)
    record = read_record(path)
    assert record.binding == RUN
    assert record.states == dict(zip(KEYS, STORIES.values(), strict=False))
    assert record.in_doubt() == [KEYS[3]]
    assert (record.refused[KEYS[1]].code, record.refused[KEYS[1]].words) == (550, "no such user")
    assert record.count()[State.ACCEPTED] == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_absent_journal_is_empty_and_is_not_made_by_reading(path: Path) -> None:
    assert read_record(path).binding is None
    assert not path.exists()


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(sorted(STORIES))), max_size=8))
@settings(max_examples=15)
def test_every_prefix_of_its_bytes_tells_the_truth(events: list[tuple[str, str]]) -> None:
    """Whoever may have got a message is in it, and each answer counts from the last byte of its line on."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        truth: list[tuple[int, dict[str, State], set[str]]] = []
        went_out: set[str] = set()
        with Journal(path, RUN) as journal:
            truth.append((path.stat().st_size, {}, set()))
            for key, story in events:
                if journal.record.states.get(key) is State.ACCEPTED:
                    continue
                before = journal._write

                def note(*args: object, key: str = key, before=before, **more: object) -> None:  # type: ignore[no-untyped-def]
                    before(*args, **more)
                    if args[1] is State.IN_DOUBT:
                        went_out.add(key)  # the message goes out as soon as the line is there
                    elif args[1] is State.WAITING:
                        went_out.discard(key)  # and is known not to have arrived
                    elif args[1] is State.REFUSED:
                        went_out.discard(key)
                    truth.append((path.stat().st_size, dict(journal.record.states), set(went_out)))

                journal._write = note  # type: ignore[method-assign]
                tell(journal, key, story)
                del journal._write
        whole = path.read_bytes()
        for size in range(len(whole) + 1):
            path.write_bytes(whole[:size])
            record = read_record(path)
            states, may_have_arrived = next(((s, w) for at, s, w in reversed(truth) if at <= size), ({}, set()))
            assert record.states == states
            assert {key for key in may_have_arrived if states[key] not in (State.ACCEPTED, State.IN_DOUBT)} == set()


def test_a_torn_line_is_taken_away_and_the_next_one_is_whole(path: Path) -> None:
    with Journal(path, RUN) as journal:
        tell(journal, KEYS[0], "accepted")
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with Journal(path, RUN) as journal:
            tell(journal, KEYS[1], "no answer")
        record = read_record(path)
        assert record.states.pop(KEYS[1]) is State.IN_DOUBT
        lines = whole[:size].count(b"\n")
        assert record.states == ({}, {}, {KEYS[0]: State.IN_DOUBT}, {KEYS[0]: State.ACCEPTED})[lines]


def test_zeros_after_a_power_cut_are_a_torn_line(path: Path) -> None:
    with Journal(path, RUN) as journal:
        tell(journal, KEYS[0], "accepted")
    with path.open("ab") as file:
        file.write(bytes(4096))
    assert read_record(path).states == {KEYS[0]: State.ACCEPTED}


def test_any_other_damage_stops_everything(path: Path) -> None:
    with Journal(path, RUN) as journal:
        for key in KEYS:
            tell(journal, key, "accepted")
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    flipped = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(0, len(whole) - 1, 7)]
    lost = [b"".join(lines[:at] + lines[at + 1 :]) for at in range(len(lines) - 1)]
    swapped = [b"".join([*lines[:2], lines[3], lines[2], *lines[4:]]), b"".join([*lines, lines[-1]])]
    for damaged in [*flipped, *lost, *swapped]:
        path.write_bytes(damaged)
        with pytest.raises(JournalError, match=r"damaged at line .* nothing is sent"):
            Journal(path, RUN)
        assert path.read_bytes() == damaged


@pytest.mark.parametrize("other", [Binding("f" * 16, "c" * 64), Binding("0123456789abcdef", "d" * 64), ROUND])
def test_it_belongs_to_one_run_content_and_purpose(path: Path, other: Binding) -> None:
    Journal(path, RUN).close()
    with pytest.raises(JournalError, match=r"another (run id|content|purpose)"):
        Journal(path, other)
    Journal(path, RUN).close()


def test_only_a_test_round_begins_anew(path: Path) -> None:
    with pytest.raises(JournalError, match="only the journal of a test round"):
        Journal(path, RUN, renew=True)
    with Journal(path, ROUND) as journal:
        tell(journal, KEYS[0], "accepted")
    with Journal(path, ROUND, renew=True) as journal:
        assert journal.record.states == {}
    assert read_record(path).states == {}
    path.unlink()
    with Journal(path, RUN) as journal:
        tell(journal, KEYS[0], "accepted")
    with pytest.raises(JournalError, match="another purpose"):
        Journal(path, ROUND, renew=True)
    assert read_record(path).states == {KEYS[0]: State.ACCEPTED}


def test_two_senders_on_one_journal(path: Path) -> None:
    script = f"""
from pathlib import Path
from reportgen.post.journal import Journal
from reportgen.post.journal_record import Binding
Journal(Path({str(path)!r}), Binding({RUN.run_id!r}, {RUN.content!r}))
"""
    with Journal(path, RUN):
        other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert "in use: another process is sending this run" in other.stderr
        assert read_record(path).binding == RUN  # looking is allowed
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_only_a_plain_file_is_a_journal(path: Path, kind: str) -> None:
    if kind == "link":
        path.symlink_to(path.with_name("elsewhere"))
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(JournalError, match="no plain file"):
        Journal(path, RUN)
    assert not path.with_name("elsewhere").exists()


def test_neither_an_address_nor_an_id_gets_in(path: Path) -> None:
    with Journal(path, RUN) as journal:
        for key in ("ann@shop.test", "4711", "", KEYS[0] + "\n", "A" * 24):
            with pytest.raises(ValueError, match="keys of users only"):
                journal.about(key, "ab" * 32)
    assert len(path.read_bytes().splitlines()) == 1


def test_an_accepted_message_cannot_be_begun_again(path: Path) -> None:
    with Journal(path, RUN) as journal:
        tell(journal, KEYS[0], "accepted")
        tell(journal, KEYS[1], "no answer")
        tell(journal, KEYS[2], "refused before the message")
        before = path.read_bytes()
        for again in (False, True):
            with pytest.raises(JournalError, match="accepted was about to be sent again"):
                journal.about(KEYS[0], "ab" * 32, again)
        for key in KEYS[1:3]:
            with pytest.raises(JournalError, match="about to be sent again"):
                journal.about(key, "ab" * 32)
        for late in (lambda: journal.refused(KEYS[0], 550, ""), lambda: journal.waiting(KEYS[0], 451)):
            with pytest.raises(JournalError, match="accepted message"):
                late()
        assert path.read_bytes() == before
        journal.about(KEYS[1], "ab" * 32, again=True)


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_after_trouble_with_the_disk_nothing_more_is_written(
    path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __getattr__(self, name: str) -> object:
            return self.fail if name == call else getattr(os, name)

        def fail(self, *_: object) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    journal = Journal(path, RUN)
    with monkeypatch.context() as patch:
        patch.setattr("reportgen.output.places.os" if call == "write" else "reportgen.post.journal.os", Full())
        with pytest.raises(OutputError, match="Input/output error"):
            journal.about(KEYS[0], "ab" * 32)
    with pytest.raises(JournalError, match="could not be written before"):
        journal.about(KEYS[0], "ab" * 32, again=True)
    with pytest.raises(JournalError, match="could not be written before"):
        journal.accepted(KEYS[1], "ab" * 32)
    journal.close()


def test_a_full_disk_is_told_before_anything_goes_out(path: Path) -> None:
    """A real limit: the line that does not fit is cut, and counts for nothing afterwards."""
    script = f"""
import resource, sys
from pathlib import Path
from reportgen.post.journal import Journal
from reportgen.post.journal_record import Binding
from reportgen.errors import OutputError
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(Path({str(path)!r}), Binding({RUN.run_id!r}, {RUN.content!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (250, 250))
try:
    journal.about({KEYS[0]!r}, "ab" * 32)
except OutputError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "File too large" in told
    assert path.stat().st_size == 250
    assert read_record(path).states == {}


class Sending(RuleBasedStateMachine):
    """A sender that dies at any byte. A power cut takes what was not synced; being killed takes nothing that was written."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal"

    @initialize()
    def begin(self) -> None:
        self.journal = Journal(self.path, RUN)
        self.synced = self.path.stat().st_size
        self.arrived: dict[str, int] = dict.fromkeys(KEYS, 0)  # copies that the server took
        self.open = ""

    def ready(self, key: str) -> bool:
        return self.journal.record.states.get(key) in (None, State.WAITING)

    @precondition(lambda self: not self.open)
    @rule(key=st.sampled_from(KEYS), arrives=st.booleans())
    def send(self, key: str, arrives: bool) -> None:
        if self.ready(key):
            self.journal.about(key, "ab" * 32)
            self.synced = self.path.stat().st_size
            self.arrived[key] += arrives
            self.open = key
            self.took = arrives

    @precondition(lambda self: self.open)
    @rule()
    def answer(self) -> None:
        if self.took:
            self.journal.accepted(self.open, "cd" * 32)
        else:
            self.journal.waiting(self.open, 451)
        self.open = ""

    @precondition(lambda self: self.open)
    @rule()
    def lose(self) -> None:
        self.open = ""

    @rule(cut=st.integers(0, 400))
    def power_cut(self, cut: int) -> None:
        self.journal.close()
        size = self.path.stat().st_size
        os.truncate(self.path, max(self.synced, size - cut))
        self.open = ""
        self.journal = Journal(self.path, RUN)
        self.synced = self.path.stat().st_size

    @invariant()
    def nobody_twice(self) -> None:
        states = self.journal.record.states
        for key, count in self.arrived.items():
            assert count <= 1
            assert count == (states.get(key) is State.ACCEPTED) or states.get(key) is State.IN_DOUBT

    @invariant()
    def the_file_says_the_same(self) -> None:
        assert read_record(self.path).states == self.journal.record.states

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()


TestSending = Sending.TestCase
TestSending.settings = settings(max_examples=20, stateful_step_count=20)


def test_the_machine_sees_a_journal_that_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a journal that does not sync what is about to be sent lets somebody get two."""
    real = journal_module.Journal.about

    def about(self: Journal, key: str, message: str, again: bool = False) -> None:
        real(self, key, message, again)
        os.truncate(self.path, self.path.stat().st_size - 1)  # as if the last byte had not reached the disk

    monkeypatch.setattr(journal_module.Journal, "about", about)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        sent = 0
        for _ in range(2):
            with Journal(path, RUN) as journal:
                if KEYS[0] not in journal.record.states:
                    journal.about(KEYS[0], "ab" * 32)
                    sent += 1
        assert sent == 2


def test_a_record_does_not_take_what_is_no_line() -> None:
    for line in (b"", b"\n", b"{}\n", b'{"n":0}\n', b"[" * 100_000 + b"\n"):
        with pytest.raises(ValueError):  # noqa: PT011  (whatever is wrong with it)
            Record().take(line)
