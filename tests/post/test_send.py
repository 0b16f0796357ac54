"""Sending through a real server on loopback that fails in every way a server can: each message once, nobody twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mail_server import DROP, VANISH, Post, address_of, free_port, key_of, letters, mail_server, message_of

from reportgen.errors import ConfigError, OutputError
from reportgen.mail.address import read_address
from reportgen.post.journal import Journal
from reportgen.post.journal_record import TEST, Binding, JournalError, Record, State, read_record
from reportgen.post.letters import Letter, wire_form
from reportgen.post.pace import Pace
from reportgen.post.send import Retries, SendSummary, Server, send
from reportgen.post.sent import failure_lines, summary_lines
from reportgen.post.smtp import Connection, Result
from reportgen.post.suppressed import suppress

RUN = Binding("0123456789abcdef", "c" * 64)
ROUND = Binding("0123456789abcdef", "c" * 64, TEST)


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Sender:
    """A sending with a clock of its own."""

    def __init__(self, path: Path, port: int) -> None:
        self.path, self.clock = path, Clock()
        self.server = Server("127.0.0.1", port, "none", seconds=5, final_seconds=5)

    def __call__(self, outbox: Any, binding: Binding = RUN, **more: Any) -> SendSummary:
        options: dict[str, Any] = {"sender": "bounce@shop.test", "rate": 1e6, "retries": Retries()} | more
        with Journal(self.path, binding) as journal:
            return send(outbox, self.server, journal, clock=self.clock, sleep=self.clock.sleep, **options)


@pytest.fixture(name="post")
def _post() -> Post:
    return Post()


@pytest.fixture(name="sender")
def _sender(post: Post, tmp_path: Path) -> Iterator[Sender]:
    with mail_server(post) as port:
        yield Sender(tmp_path / "journal", port)


def states(sender: Sender) -> dict[str, State]:
    return read_record(sender.path).states


def test_everybody_gets_the_bytes_that_were_made(post: Post, sender: Sender) -> None:
    seen: list[tuple[int, int]] = []
    found = sender(letters(5), progress=lambda *counts: seen.append(counts))
    assert found == SendSummary(5)
    assert found.complete
    assert post.taken == [("bounce@shop.test", address_of(n), message_of(n)) for n in range(5)]
    assert set(states(sender).values()) == {State.ACCEPTED}
    assert seen == [(n, n) for n in range(1, 6)]
    assert post.said["EHLO", ""] == 1  # one connection


def test_sending_again_sends_nothing(post: Post, sender: Sender) -> None:
    sender(letters(3))
    made: list[int] = []
    found = sender([*letters(3, lambda n: made.append(n) or b""), *letters(4)])
    assert (found.sent, found.sent_before, found.doubled) == (1, 3, 3)
    assert made == []  # nor is anything made
    assert set(post.by_recipient().values()) == {1}


@pytest.mark.parametrize("stage", ["RCPT", "DATA", "END"])
def test_what_is_put_off_is_tried_again_later(post: Post, sender: Sender, stage: str) -> None:
    post.faults[stage, address_of(1)] = ["451 4.7.1 later", "450 4.2.0 and later"]
    found = sender(letters(4), retries=Retries(first=60, factor=3))
    assert found == SendSummary(4)
    # The others do not wait for it.
    assert [recipient for _, recipient, _ in post.taken] == [address_of(n) for n in (0, 2, 3, 1)]
    assert sender.clock.now - 1000 == pytest.approx(60 + 180, abs=1)
    assert max(sender.clock.slept) <= 0.2


def test_patience_ends_and_the_next_sending_begins_anew(post: Post, sender: Sender) -> None:
    post.faults["RCPT", address_of(1)] = ["452 4.2.2 mailbox of reader1@shop.test is full"] * 4
    found = sender(letters(3), retries=Retries(times=3))
    assert (found.sent, [(note.key, note.code, note.words) for note in found.waiting]) == (
        2,
        [(key_of(1), 452, "4.2.2 mailbox of (address) is full")],
    )
    assert not found.complete
    assert sender(letters(3)) == SendSummary(1, sent_before=2)


@pytest.mark.parametrize("stage", ["RCPT", "DATA", "END"])
def test_what_is_refused_is_listed_with_the_words_of_the_server(post: Post, sender: Sender, stage: str) -> None:
    post.faults[stage, address_of(1)] = ["550 5.1.1 <Reader1@shop.test>: user reader1 unknown"] * 2
    found = sender(letters(3))
    assert (found.sent, len(found.refused)) == (2, 1)
    assert (found.refused[0].key, found.refused[0].words) == (key_of(1), "5.1.1 (address) user (address) unknown")
    assert post.said["RCPT", address_of(1)] == 1
    later = sender(letters(3))  # known from the journal, and not tried again
    assert later.refused == found.refused
    assert post.said["RCPT", address_of(1)] == 1
    assert sender(letters(3), again={State.REFUSED}).refused == found.refused
    assert sender(letters(3), again={State.REFUSED}) == SendSummary(1, sent_before=2)


def test_no_word_about_anybody_leaves_but_by_key(post: Post, sender: Sender) -> None:
    post.faults["RCPT", address_of(1)] = ["550 no reader1@shop.test here"]
    post.faults["END", address_of(2)] = [VANISH]
    found = sender([*letters(4), Letter(key_of(9), "not an address", b"")])
    told = "\n".join([*summary_lines(found), *failure_lines(found), repr(found), sender.path.read_text()])
    assert "shop.test" not in told
    assert "reader" not in told
    assert "not an address" not in told
    assert not any(key_of(n) in "\n".join(summary_lines(found)) for n in range(10))
    listed = [json.loads(line) for line in failure_lines(found)]
    assert {(line["what"], line["key"]) for line in listed} == {
        ("refused", key_of(1)),
        ("in_doubt", key_of(2)),
        ("unsendable", key_of(9)),
    }
    assert "reader" not in repr(next(letters(1)))


# --- connections that end


@pytest.mark.parametrize("stage", ["RCPT", "DATA", "BODY", "MAIL"])
def test_a_connection_lost_before_the_final_dot_leaves_no_doubt(post: Post, sender: Sender, stage: str) -> None:
    # Larger than what the system keeps on the way: the server leaves before all of it is handed over.
    more = (b"y" * 900 + b"\r\n") * (18_000 if stage == "BODY" else 10)
    large = [Letter(key_of(n), address_of(n), message_of(n) + (more if n == 1 else b"")) for n in range(3)]
    post.faults[stage, address_of(1) if stage != "MAIL" else ""] = [DROP]
    assert sender(large) == SendSummary(3)
    assert set(post.by_recipient().values()) == {1}
    assert set(states(sender).values()) == {State.ACCEPTED}


def test_a_connection_lost_after_the_final_dot_leaves_a_doubt(post: Post, sender: Sender) -> None:
    post.faults["END", address_of(1)] = [VANISH]
    post.faults["END", address_of(2)] = [DROP]  # not taken, which nobody can know
    found = sender(letters(5))
    assert (found.sent, found.in_doubt) == (3, (key_of(1), key_of(2)))
    assert sender(letters(5)) == SendSummary(0, sent_before=3, in_doubt=found.in_doubt)
    assert post.by_recipient()[address_of(1)] == 1
    # By decision of the operator: the one that had arrived comes a second time.
    assert sender(letters(5), again={State.IN_DOUBT}) == SendSummary(2, sent_before=3)
    assert (post.by_recipient()[address_of(1)], post.by_recipient()[address_of(2)]) == (2, 1)


def test_a_server_that_leaves_after_each_message(post: Post, sender: Sender) -> None:
    post.faults["AFTER", ""] = [DROP] * 6
    assert sender(letters(6)) == SendSummary(6)
    assert set(post.by_recipient().values()) == {1}


def test_a_server_that_takes_and_vanishes_is_left(post: Post, sender: Sender) -> None:
    post.faults["END", ""] = [VANISH] * 10
    found = sender(letters(10))
    assert (found.sent, len(found.in_doubt)) == (0, 3)
    assert "3 messages one after another got no answer" in found.stopped
    assert len(post.taken) == 3


def test_a_server_that_ends_every_connection_is_left(post: Post, sender: Sender) -> None:
    post.faults["RCPT", ""] = [DROP] * 100
    found = sender(letters(30), retries=Retries(times=3))
    assert (found.sent, found.in_doubt) == (0, ())
    assert "ends every connection" in found.stopped
    assert post.said["EHLO", ""] == 5
    assert states(sender) == {}


def test_a_server_that_refuses_everybody_is_left(post: Post, sender: Sender) -> None:
    post.faults["RCPT", ""] = ["554 5.7.1 your network is on a list"] * 100
    found = sender(letters(100))
    assert "20 refusals without a success between them, the last one: 554 5.7.1 your network" in found.stopped
    assert len(found.refused) == 20


@pytest.mark.parametrize(
    ("stage", "reply", "words"),
    [
        ("MAIL", "553 5.7.1 not your address", "refuses the sender"),
        ("RCPT", "530 5.7.0 authentication required", "another login"),
    ],
)
def test_what_is_no_fault_of_the_recipient_is_not_noted_of_one(
    post: Post, sender: Sender, stage: str, reply: str, words: str
) -> None:
    post.faults[stage, ""] = [reply] * 9
    found = sender(letters(3))
    assert words in found.stopped
    assert states(sender) == {}
    post.faults.clear()
    assert sender(letters(3)) == SendSummary(3)


def test_a_message_that_is_too_large_is_a_matter_of_one(post: Post, tmp_path: Path) -> None:
    with mail_server(post, data_size_limit=2000) as port:
        sender = Sender(tmp_path / "journal", port)
        large = Letter(key_of(7), address_of(7), message_of(7) + b"z" * 900 + b"\r\n" + b"z" * 900)
        found = sender([*letters(2), large, *letters(3)])
    assert found.sent == 3
    assert [(note.key, note.code) for note in found.refused] == [(key_of(7), 552)]


def test_a_server_that_says_421_is_asked_again(post: Post, sender: Sender) -> None:
    post.faults["MAIL", ""] = ["", "421 4.3.2 that is enough for now", "421 4.3.2 still"]
    assert sender(letters(3)) == SendSummary(3)


def test_answers_that_are_none(tmp_path: Path) -> None:
    """After the final dot nonsense is a doubt; a client that took it for a refusal would send again."""
    for reply in (b"hello\r\n", b"x" * 9000 + b"\r\n", b"354 go on\r\n", b""):
        with strange_server(reply) as (port, _):
            sender = Sender(tmp_path / f"journal{len(reply)}", port)
            found = sender(letters(1))
        assert found.in_doubt == (key_of(0),), reply[:9]
        assert found.sent == 0


@contextmanager
def strange_server(last: bytes, early: bytes = b"", connections: int = 1) -> Iterator[tuple[int, list[bytes]]]:
    """A server of a few lines for what aiosmtpd refuses to say; yields its port, and what it got after DATA.

    It says `last` after the final dot and leaves, and `early` before it has got anything of the message.
    """
    got: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(10)

    def serve() -> None:
        for _ in range(connections):
            sock, _ = listening.accept()
            with sock, sock.makefile("rb") as lines:
                sock.sendall(b"220 here\r\n")
                while (line := lines.readline()) and not line.upper().startswith(b"DATA"):
                    sock.sendall(b"250 fine\r\n")
                sock.sendall(b"354 go on\r\n" + early)
                got.append(b"".join(iter(lambda lines=lines: ended(lines.readline()), b"")))
                sock.sendall(b"" if early else last)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1], got
    finally:
        thread.join()
        listening.close()


def ended(line: bytes) -> bytes:
    return b"" if line == b".\r\n" else line


def test_a_server_that_speaks_before_the_dot_does_not_get_it(tmp_path: Path) -> None:
    """What it says would be taken for the answer to a message that it does not have."""
    with strange_server(b"", early=b"250 taken\r\n", connections=2) as (port, taken):
        sender = Sender(tmp_path / "journal", port)
        found = sender(letters(1), retries=Retries(times=1))
    assert (found.sent, found.in_doubt) == (0, ())
    assert len(found.waiting) == 1
    assert len(taken) == 2


def test_a_slow_server_is_waited_for(post: Post, sender: Sender) -> None:
    post.delay = 0.3
    sender.server = Server("127.0.0.1", sender.server.port, "none", seconds=0.2, final_seconds=5)
    assert sender(letters(2)) == SendSummary(2)


def test_a_server_that_does_not_answer_leaves_a_doubt(post: Post, sender: Sender) -> None:
    post.delay = 0.6
    sender.server = Server("127.0.0.1", sender.server.port, "none", seconds=0.2, final_seconds=0.2)
    assert sender(letters(1)) == SendSummary(0, in_doubt=(key_of(0),))


def test_a_server_that_was_never_there(tmp_path: Path) -> None:
    sender = Sender(tmp_path / "journal", free_port())
    found = sender(letters(2))
    assert "cannot be reached: 127.0.0.1" in found.stopped
    assert "refused" in found.stopped
    assert sender.clock.slept == []  # a slip of the pen is told at once
    assert states(sender) == {}


def test_a_server_that_goes_away(post: Post, tmp_path: Path) -> None:
    def outbox() -> Iterator[Letter]:
        yield from letters(2)
        server.close()  # for good: patience ends
        yield from letters(4)

    server = ExitStack()
    sender = Sender(tmp_path / "journal", server.enter_context(mail_server(post)))
    found = sender(outbox(), retries=Retries(times=2, first=1, factor=2))
    assert (found.sent, found.in_doubt) == (2, ())
    assert "cannot be reached" in found.stopped
    assert 2.9 < sum(sender.clock.slept) < 4.1
    with mail_server(post) as port:
        sender.server = Server("127.0.0.1", port, "none")
        assert sender(letters(4)) == SendSummary(2, sent_before=2)


# --- whom to leave alone


def test_the_rate_is_kept_without_bursts(sender: Sender) -> None:
    moments: list[float] = []
    sender(letters(6), rate=2.0, progress=lambda *_: moments.append(sender.clock.now))
    assert moments == pytest.approx([1000 + n / 2 for n in range(6)])
    pace = Pace(10, sender.clock, sender.clock.sleep, lambda: False)
    sender.clock.now += 100
    turns = []
    for _ in range(3):
        pace.take_turn()
        turns.append(sender.clock.now)
    assert [late - early for early, late in pairwise(turns)] == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none(sender: Sender, rate: float) -> None:
    with pytest.raises(ConfigError, match="messages per second"):
        sender(letters(1), rate=rate)


def test_who_opted_out_or_is_suppressed_gets_nothing(post: Post, sender: Sender) -> None:
    listed = suppress([address_of(1).upper(), key_of(2)])
    found = sender(letters(5), suppressed=listed, opted_out={key_of(3)})
    assert found == SendSummary(2, opted_out=1, suppressed=2)
    assert set(post.by_recipient()) == {address_of(0), address_of(4)}
    assert found.complete


def test_one_who_is_broken_stops_nobody(post: Post, sender: Sender) -> None:
    def broken() -> bytes:
        raise KeyError("reader1")

    outbox = [
        Letter(key_of(1), address_of(1), broken),
        Letter(key_of(2), "a@x.test, b@y.test", message_of(2)),
        Letter(key_of(3), address_of(3), message_of(4)),  # somebody else's
        Letter(key_of(4), address_of(4), message_of(4).replace(b"Subject", b"Bcc: x@y.test\r\nSubject")),
        Letter(key_of(5), address_of(5), message_of(5) + b"\0"),
        Letter(key_of(6), address_of(6), b"no header"),
        Letter(key_of(7), "ok@x.test SIZE=1", message_of(7)),
        Letter(key_of(8), "a@x.test\r\nRCPT TO:<v@e.test>", message_of(8)),
        Letter(key_of(0), address_of(0), message_of(0)),
    ]
    found = sender(outbox)
    assert (found.sent, [note.key for note in found.unsendable]) == (1, [key_of(n) for n in range(1, 9)])
    assert "(KeyError)" in found.unsendable[0].words
    assert set(post.by_recipient()) == {address_of(0)}
    assert set(states(sender)) == {key_of(0)}


def test_a_raw_id_as_a_key_is_a_mistake_of_the_program(sender: Sender) -> None:
    with pytest.raises(ValueError, match="no pseudonym"):
        sender([Letter("4711", address_of(1), message_of(1))])


# --- test rounds and dry runs


def test_a_test_round_reaches_one_address_and_marks_nobody(post: Post, sender: Sender) -> None:
    real = sender.path
    sender.path = real.with_name("test-journal")
    found = sender(letters(3), ROUND, to_override="Crm@shop.test", suppressed=suppress([address_of(2)]))
    assert found == SendSummary(2, suppressed=1)
    assert set(post.by_recipient()) == {"Crm@shop.test"}
    for _, _, data in post.taken:
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"To: Crm@shop.test\r\n")
        assert b"reader" not in head
        assert b"List-Unsubscribe" not in head
        assert b"Message-ID: <test." in head
        assert body.startswith(b"message ")
    sender.path = real
    assert sender(letters(3)) == SendSummary(3)


def test_a_test_round_and_a_sending_never_share_a_journal(post: Post, sender: Sender) -> None:
    with pytest.raises(JournalError, match="a journal of its own"):
        sender(letters(1), RUN, to_override="crm@shop.test")
    sender.path.unlink()
    with pytest.raises(JournalError, match="a journal of its own"):
        sender(letters(1), ROUND)
    with pytest.raises(ConfigError, match="test round is no address"):
        sender(letters(1), ROUND, to_override="crm")
    with pytest.raises(ConfigError, match="the sender is no address"):
        sender(letters(1), ROUND, to_override="crm@shop.test", sender="shop")
    assert post.taken == []


def test_a_dry_run_touches_neither_network_nor_disk(sender: Sender) -> None:
    sender(letters(2))
    before = sender.path.read_bytes()
    server = Server("127.0.0.1", free_port(), "none")
    outbox = [*letters(5), Letter(key_of(8), "nobody", message_of(8)), Letter(key_of(9), address_of(9), message_of(8))]
    options: dict[str, Any] = {"sender": "b@shop.test", "rate": 1, "retries": Retries()}
    more: dict[str, Any] = {"clock": sender.clock, "sleep": sender.clock.sleep, "dry_run": True}
    found = send(outbox, server, read_record(sender.path), **options, **more)
    assert (found.sent, found.sent_before, len(found.unsendable), found.dry_run) == (3, 2, 2, True)
    assert next(summary_lines(found)) == "would be sent: 3"
    assert send(outbox, server, Record(), **options, **more).sent == 5
    assert sender.path.read_bytes() == before
    assert sum(sender.clock.slept) < 0.001  # no pace to be kept
    with pytest.raises(JournalError, match="open for writing"):
        send(outbox, server, Record(), **options, **more | {"dry_run": False})


def test_nothing_goes_out_when_the_journal_cannot_be_written(post: Post, sender: Sender, monkeypatch: Any) -> None:
    def fail(_file: int) -> None:
        raise OSError(5, "Input/output error")

    with Journal(sender.path, RUN) as journal, monkeypatch.context() as patch:
        patch.setattr("reportgen.post.journal.os.fsync", fail)
        with pytest.raises(OutputError, match="Input/output error"):
            send(
                letters(2),
                sender.server,
                journal,
                sender="",
                rate=1e6,
                retries=Retries(),
                clock=time.monotonic,
                sleep=time.sleep,
            )
    assert post.taken == []


# --- asked to stop

CHILD = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from mail_server import letters
from reportgen.post.journal import Journal
from reportgen.post.journal_record import Binding
from reportgen.post.send import Retries, Server, send
from reportgen.post.sent import summary_lines
from reportgen.batch.signals import stopping

path, port, count, rate = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
with stopping() as stop, Journal(path, Binding({RUN.run_id!r}, {RUN.content!r})) as journal:
    found = send(letters(count), Server("127.0.0.1", port, "none"), journal, sender="bounce@shop.test", rate=rate,
                 retries=Retries(first=0.05), clock=time.monotonic, sleep=time.sleep, stopping=stop)
print(*summary_lines(found), sep="\\n")
"""


@pytest.fixture(name="start")
def _start(sender: Sender) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a sender in a process of its own."""
    begun: list[subprocess.Popen[str]] = []

    def start(count: int, rate: float = 1e6) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CHILD, *map(str, (sender.path, sender.server.port, count, rate))]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def test_sigterm_lets_the_message_in_flight_finish(
    post: Post, sender: Sender, start: Callable[..., subprocess.Popen[str]]
) -> None:
    post.delay = 0.3
    process = start(50)
    assert post.arrived.acquire(timeout=30)
    process.send_signal(signal.SIGTERM)  # the server has a message and has not answered yet
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "stopped before the end: interrupted" in out
    assert set(states(sender).values()) == {State.ACCEPTED}
    assert len(states(sender)) == len(post.taken) < 5
    post.delay, before = 0.0, len(post.taken)
    assert sender(letters(6)) == SendSummary(6 - before, sent_before=before)
    assert set(post.by_recipient().values()) == {1}


def test_sigterm_ends_a_pause(post: Post, sender: Sender, start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(5, rate=0.01)
    assert post.arrived.acquire(timeout=30)
    process.send_signal(signal.SIGTERM)
    before = time.monotonic()
    process.communicate(timeout=30)
    assert time.monotonic() - before < 20  # not the hundred seconds of the pause
    assert set(states(sender).values()) == {State.ACCEPTED}


def test_a_second_signal_does_not_wait(post: Post, sender: Sender, start: Callable[..., subprocess.Popen[str]]) -> None:
    post.delay = 60.0
    process = start(5)
    assert post.arrived.acquire(timeout=30)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in err
    assert states(sender) == {key_of(0): State.IN_DOUBT}


# --- killed


def judge(post: Post, record: Record, count: int) -> int:
    """Everybody has exactly one message, or is in doubt by name with at most one; return how many are."""
    got, doubtful = post.by_recipient(), set(record.in_doubt())
    for number in range(count):
        copies = got[address_of(number)]
        assert copies == 1 or (key_of(number) in doubtful and copies == 0), number
    return len(doubtful)


def test_killed_at_any_moment_nobody_gets_two(
    post: Post, sender: Sender, start: Callable[..., subprocess.Popen[str]]
) -> None:
    count = 300
    for kill in range(5):
        process = start(count, rate=400)
        if kill % 2:  # with the message taken and no answer given: the moment that hurts
            post.kill_at[len(post.taken) + 20] = process.pid
        else:
            for _ in range(30):
                assert post.arrived.acquire(timeout=30)
            process.kill()
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL
    out, err = start(count).communicate(timeout=60)
    assert err == ""
    record = read_record(sender.path)
    assert len(record.states) == count
    assert set(record.states.values()) <= {State.ACCEPTED, State.IN_DOUBT}
    assert 2 <= judge(post, record, count) <= 5
    assert f"in doubt: may have arrived, not sent again unless you say so: {len(record.in_doubt())}" in out


DYING = f"""
import os, sys, time
from pathlib import Path
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
from dying import Dying
from mail_server import letters
from reportgen.output import durable, places
from reportgen.post import journal as journal_module, smtp
from reportgen.post.journal import Journal
from reportgen.post.journal_record import Binding
from reportgen.post.send import Retries, Server, send

base, port, how, calls = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
CALLS = ("open", "write", "fsync", "ftruncate", "close")

def run(path, at):
    dying = durable.os = places.os = journal_module.os = Dying(CALLS, how, at)
    with Journal(path, Binding({RUN.run_id!r}, {RUN.content!r})) as journal:
        found = send(letters(2), Server("127.0.0.1", port, "none"), journal, sender="", rate=1e6, retries=Retries(),
                     clock=time.monotonic, sleep=time.sleep)
    return dying.count, found

if not calls:
    print(run(base / "count", 0)[0])
for at in range(1, calls + 1):
    child = os.fork()
    if not child:
        run(base / str(at), at)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, at
"""


def test_dead_at_every_call_that_touches_the_journal(post: Post, sender: Sender, tmp_path: Path) -> None:
    def run(*words: object) -> str:
        command = [sys.executable, "-c", DYING, str(tmp_path), str(sender.server.port), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    calls = int(run("count", 0))
    assert calls >= 10
    for how in ("before", "half", "after"):
        doubts = 0
        run(how, calls)
        # Each child wrote a journal of its own to the same two people, and so does who takes it up.
        for at in range(1, calls + 1):
            sender.path = tmp_path / str(at)
            post.taken.clear()
            before = dict(states(sender))
            found = sender(letters(2), sender="")
            assert found.sent + found.sent_before + len(found.in_doubt) == 2
            assert len(post.taken) == found.sent
            assert all(before[key] is State.IN_DOUBT for key in found.in_doubt)
            doubts += len(found.in_doubt)
            os.unlink(sender.path)
        assert 0 < doubts < calls


def test_each_death_leaves_at_most_one_copy(post: Post, sender: Sender, tmp_path: Path) -> None:
    """The same, one death at a time, with the copies counted from the first attempt on."""
    command = [sys.executable, "-c", DYING.replace("for at in range(1, calls + 1)", "for at in [calls]"), str(tmp_path)]
    for at in (4, 6, 7, 8, 9):
        post.taken.clear()
        subprocess.run([*command, str(sender.server.port), "after", str(at)], check=True)
        sender.path = tmp_path / str(at)
        sender(letters(2), sender="")
        judge(post, read_record(sender.path), 2)


# --- one connection by itself


def test_a_server_that_left_before_the_dot_leaves_no_doubt() -> None:
    """Also when the message is so small that the system takes it from us although nobody is there to get it."""
    gone = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            sock, _ = listening.accept()
            with sock, sock.makefile("rb") as lines:
                sock.sendall(b"220 here\r\n")
                while (line := lines.readline()) and not line.startswith(b"DATA"):
                    sock.sendall(b"250 fine\r\n")
                sock.sendall(b"354 go on\r\n")
            gone.set()

        thread = threading.Thread(target=serve)
        thread.start()
        connection = Connection(Server("127.0.0.1", listening.getsockname()[1], "none", seconds=5))
        assert connection._smtp.sock is not None
        assert connection._smtp.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        to = read_address(address_of(0))
        answer = connection.deliver(None, to, wire_form(message_of(0)), lambda: gone.wait(10))
        connection.close(polite=False)
        thread.join()
    assert (answer.result, answer.begun, answer.lost) == (Result.LATER, True, True)


def test_the_journal_knows_before_the_first_byte_goes_out(post: Post, sender: Sender) -> None:
    def refuse() -> None:
        raise OutputError("no room")

    connection = Connection(sender.server)
    with pytest.raises(OutputError, match="no room"):
        connection.deliver(None, read_address(address_of(0)), wire_form(message_of(0)), refuse)
    assert connection._smtp.sock is not None
    connection._smtp.sock.sendall(b".\r\n")  # had anything gone out, the server would now have it
    assert connection._smtp.getreply()[0] == 250
    connection.close(polite=True)
    assert [data for _, _, data in post.taken] == [b""]
