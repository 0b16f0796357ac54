"""``reportgen send``: from a run to a real server on loopback that fails, by the command line alone."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import trustme
from mail_server import DROP, VANISH, Post, free_port, mail_server
from mail_shop import KEY, NOBODY, USERS

from reportgen.explain.privacy import pseudonym
from reportgen.post.journal_record import State, read_record

Say = Callable[..., int]
Capture = pytest.CaptureFixture[str]
MADE = USERS - 1 - len(NOBODY)
FAST = ("--rate", "10000", "--retry-wait", "0.01")


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    """A copy of the run that may get a journal."""
    return Path(shutil.copytree(built, tmp_path / "run"))


@pytest.fixture
def post() -> Post:
    return Post()


def to(port: int) -> tuple[str, ...]:
    return "--smtp", f"127.0.0.1:{port}", "--plaintext", *FAST


def test_everybody_gets_one_and_a_second_sending_sends_nothing(
    run: Path, post: Post, say: Say, capsys: Capture
) -> None:
    with mail_server(post, enable_SMTPUTF8=True) as port:
        assert say("send", run, *to(port)) == 0
        assert f"sent: {MADE}" in capsys.readouterr().out
        assert say("send", run, *to(port)) == 0
        assert f"sent before, left alone: {MADE}" in capsys.readouterr().out
    assert set(post.by_recipient().values()) == {1}
    assert len(post.taken) == MADE
    assert {sender for sender, _, _ in post.taken} == {"hello@example.org"}
    assert say("verify", run) == 0  # the journal is known


def test_a_mail_is_dated_by_its_sending_and_else_as_it_was_built(
    run: Path, post: Post, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1893456000")
    with mail_server(post, enable_SMTPUTF8=True) as port:
        assert say("send", run, *to(port)) == 0
    built = {path.read_bytes().replace(b"\r\n", b"\n") for path in run.glob("reports/*/*.eml")}
    for _, _, data in post.taken:
        assert email.message_from_bytes(data)["Date"] == "Tue, 01 Jan 2030 00:00:00 +0000"
    dateless = re.compile(rb"(?m)^Date: .*\n")
    sent = {dateless.sub(b"", data.replace(b"\r\n", b"\n")) for _, _, data in post.taken}
    assert sent == {dateless.sub(b"", data) for data in built}


def test_a_dry_run_connects_to_nobody_and_writes_nothing(run: Path, say: Say, capsys: Capture) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert say("send", run, "--dry-run") == 0
    assert say("send", run, "--dry-run", "--smtp", f"127.0.0.1:{free_port()}") == 0
    assert capsys.readouterr().out.count(f"would be sent: {MADE}") == 2
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_test_round_goes_to_one_address_and_marks_nobody(run: Path, post: Post, say: Say) -> None:
    with mail_server(post, enable_SMTPUTF8=True) as port:
        assert say("send", run, *to(port), "--to-override", "me@example.org", "--limit", "3") == 0
        assert post.by_recipient() == {"me@example.org": 3}
        for _, _, data in post.taken:
            message = email.message_from_bytes(data)
            assert message["To"] == "me@example.org"
            assert "List-Unsubscribe" not in message
        assert not (run / "sending.journal").exists()
        assert say("send", run, *to(port)) == 0
    assert len(post.taken) == 3 + MADE


def test_what_the_server_refuses_is_listed_and_the_rest_goes_on(
    run: Path, post: Post, say: Say, capsys: Capture, tmp_path: Path
) -> None:
    for place, reply in (
        (12, "550 5.1.1 <reader12@example.org> unknown"),
        (14, "552 5.2.2 mailbox of reader14@example.org full"),
    ):
        post.faults["RCPT", f"reader{place}@example.org"] = [reply]
    post.faults["END", "reader13@example.org"] = ["451 later", "452 still later"]
    post.faults["DATA", "reader15@example.org"] = [DROP]
    with mail_server(post, enable_SMTPUTF8=True) as port:
        assert say("send", run, *to(port), "--failures", tmp_path / "failures.jsonl") == 3
        told = capsys.readouterr().out
        assert f"sent: {MADE - 2}" in told
        assert "refused for good by the server: 2" in told
        failures = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
        assert sorted((one["what"], one["code"]) for one in failures) == [("refused", 550), ("refused", 552)]
        assert "example.org" not in told + json.dumps(failures)
        assert say("send", run, *to(port)) == 3  # they are still refused
        assert say("send", run, *to(port), "--resend-refused") == 0
    assert set(post.by_recipient().values()) == {1}


def test_what_is_in_doubt_is_only_sent_again_when_asked(run: Path, post: Post, say: Say, capsys: Capture) -> None:
    post.faults["END", "reader12@example.org"] = [VANISH]
    with mail_server(post, enable_SMTPUTF8=True) as port:
        assert say("send", run, *to(port)) == 3
        assert "in doubt" in capsys.readouterr().out
        assert say("send", run, *to(port)) == 3
        assert post.by_recipient()["reader12@example.org"] == 1
        assert say("send", run, *to(port), "--resend-doubtful") == 0
    assert post.by_recipient()["reader12@example.org"] == 2


def test_who_said_no_is_left_alone_also_when_it_was_after_the_run(
    run: Path, post: Post, say: Say, shop: Path, tmp_path: Path, capsys: Capture
) -> None:
    users = pd.read_csv(shop / "users.csv", dtype=str)
    users.loc[11, "opted_out"] = "yes"
    users.drop(index=12).to_csv(tmp_path / "users.csv", index=False)
    (tmp_path / "stop.txt").write_text(
        f"# complaints\nREADER13@example.org\n{pseudonym(KEY.encode(), users['user_id'][14])}\n"
    )
    with mail_server(post, enable_SMTPUTF8=True) as port:
        words = (*to(port), "--users", tmp_path / "users.csv", "--suppress", tmp_path / "stop.txt")
        assert say("send", run, *words) == 0
    told = capsys.readouterr().out
    assert "opted out: 2" in told
    assert "on the suppression list: 2" in told
    assert post.by_recipient().keys().isdisjoint({f"reader{place}@example.org" for place in (11, 12, 13, 14)})
    assert len(post.taken) == MADE - 4


def test_a_login_by_the_environment_and_an_authority_of_ones_own(
    run: Path, post: Post, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REPORTGEN_SMTP_USER", "shop")
    monkeypatch.setenv("REPORTGEN_SMTP_PASSWORD", "correct horse")
    trusted = ("--ca-file", tmp_path / "ca.pem", *FAST)
    with mail_server(post, starttls=context, login=("shop", "correct horse"), enable_SMTPUTF8=True) as port:
        assert say("send", run, "--smtp", f"127.0.0.1:{port}", *FAST) == 1
        assert "cannot be trusted" in capsys.readouterr().err
        assert say("send", run, "--smtp", f"127.0.0.1:{port}", *trusted, "--limit", "4") == 0
        monkeypatch.setenv("REPORTGEN_SMTP_PASSWORD", "wrong")
        assert say("send", run, "--smtp", f"127.0.0.1:{port}", *trusted) == 1
        told = capsys.readouterr().err
        assert "check user and password" in told
        assert "wrong" not in told
        assert say("send", run, "--smtp", f"127.0.0.1:{port}", "--plaintext") == 1
        assert "would give the password away" in capsys.readouterr().err
    for name in ("USER", "PASSWORD"):
        monkeypatch.delenv(f"REPORTGEN_SMTP_{name}")
    with mail_server(post, tls=context, enable_SMTPUTF8=True) as port:
        assert say("send", run, "--smtp", f"127.0.0.1:{port}", "--tls", *trusted) == 0
    assert set(post.by_recipient().values()) == {1}
    assert len(post.taken) == MADE


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_a_sender_that_is_stopped_goes_on_where_it_was(way: signal.Signals, run: Path, post: Post, say: Say) -> None:
    post.delay = 0.02
    with mail_server(post, enable_SMTPUTF8=True) as port:
        command = [sys.executable, "-m", "reportgen", "send", str(run), *to(port)]
        with subprocess.Popen(
            command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            for _ in range(5):
                post.arrived.acquire()
            child.send_signal(way)
            _, told = child.communicate(timeout=60)
        assert child.returncode == (130 if way is signal.SIGINT else -9)
        assert way is signal.SIGKILL or "interrupted; the same command goes on" in told
        assert 5 <= len(post.taken) < MADE
        doubtful = len(read_record(run / "sending.journal").in_doubt())
        assert doubtful <= (way is signal.SIGKILL)
        post.delay = 0
        assert say("send", run, *to(port)) == (3 if doubtful else 0)
    assert set(post.by_recipient().values()) == {1}
    assert len(post.taken) == MADE or (doubtful and len(post.taken) == MADE - 1)


def test_two_senders_at_once_are_one(run: Path, post: Post, say: Say, capsys: Capture) -> None:
    post.delay = 0.05
    with mail_server(post, enable_SMTPUTF8=True) as port:
        other = subprocess.Popen(
            [sys.executable, "-m", "reportgen", "send", str(run), *to(port)], env=os.environ, stdout=subprocess.DEVNULL
        )
        post.arrived.acquire()
        assert say("send", run, *to(port)) == 1
        assert "another process is sending this run" in capsys.readouterr().err
        assert other.wait(60) == 0
    assert len(post.taken) == MADE


def test_a_message_that_was_changed_is_not_sent(run: Path, post: Post, say: Say, capsys: Capture) -> None:
    damaged, missing = sorted(run.glob("reports/*/*.eml"))[:2]
    damaged.write_bytes(damaged.read_bytes().replace(b"Subject: ", b"Bcc: evil@evil.test\r\nSubject: "))
    missing.unlink()
    with mail_server(post, enable_SMTPUTF8=True) as port:
        assert say("send", run, *to(port)) == 3
    told = capsys.readouterr().out
    assert "not sendable: 2" in told
    assert "is not as the run wrote it" in told
    assert len(post.taken) == MADE - 2
    assert "evil" not in json.dumps(list(post.by_recipient()))


def test_a_server_without_smtputf8_gets_all_the_others(run: Path, post: Post, say: Say, capsys: Capture) -> None:
    with mail_server(post, hidden=("SMTPUTF8",)) as port:
        assert say("send", run, *to(port)) == 3
    assert "only SMTPUTF8 allows" in capsys.readouterr().out
    assert len(post.taken) == MADE - 1


def test_the_mails_of_packs_and_a_run_in_which_somebody_was_forgotten(
    say: Say, post: Post, shop: Path, tmp_path: Path
) -> None:
    run, user = tmp_path / "run", pd.read_csv(shop / "users.csv", dtype=str)["user_id"][12]
    assert say("build", "--format", "eml", "--packs", "--shard-size", "7", "--out", run, "--quiet") == 3
    with mail_server(post, enable_SMTPUTF8=True) as port:
        assert say("send", run, *to(port), "--limit", "4") == 0
        had = "reader12@example.org" in post.by_recipient()
        assert say("forget", run, user) == 0
        assert say("send", run, *to(port)) == 0  # the journal is still that of this run
    assert len(post.taken) == MADE - (not had)
    assert set(post.by_recipient().values()) == {1}


def test_the_journal_of_another_run_is_refused(
    run: Path, say: Say, post: Post, tmp_path: Path, capsys: Capture
) -> None:
    other = tmp_path / "other"
    assert say("build", "--format", "eml", "--limit", "3", "--out", other, "--quiet") == 3
    with mail_server(post, enable_SMTPUTF8=True) as port:
        assert say("send", other, *to(port), "--journal", tmp_path / "j") == 0
        count = len(post.taken)
        for words in (("--dry-run",), ()):
            assert say("send", run, *to(port), "--journal", tmp_path / "j", *words) == 1
            assert "another" in capsys.readouterr().err
    assert len(post.taken) == count


@pytest.mark.parametrize(("words", "told"), [
    (("--smtp", "mail.example.org"), "host:port"),
    ((), "--smtp host:port"),
    (("--smtp", "127.0.0.1:9", "--plaintext", "--suppress", "nowhere.txt"), "suppression list cannot be read"),
    (("--smtp", "127.0.0.1:9", "--plaintext", "--to-override", "me"), "the address of the test round is no address"),
    (("--smtp", "127.0.0.1:9", "--plaintext", "--bounces", "a b"), "the sender is no address"),
    (("--smtp", "127.0.0.1:9", "--ca-file", "nowhere.pem"), "nowhere.pem is no file"),
    (("--smtp", "127.0.0.1:9", "--plaintext"), "cannot be reached"),
])  # fmt: skip
def test_one_line_says_what_is_wrong(words: tuple[str, ...], told: str, run: Path, say: Say, capsys: Capture) -> None:
    assert say("send", run, *words) == 1
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [("--rate", "0"), ("--rate", "fast"), ("--limit", "0"), ("--tls", "--starttls")])
def test_2_for_what_is_no_value(words: tuple[str, ...], run: Path, say: Say, capsys: Capture) -> None:
    assert say("send", run, *words) == 2
    capsys.readouterr()


def test_a_run_without_mails_and_no_run(say: Say, tmp_path: Path, capsys: Capture) -> None:
    assert say("build", "--format", "json", "--limit", "2", "--out", tmp_path / "run", "--quiet") == 0
    for verb in (
        ("send", tmp_path / "run", "--dry-run"),
        ("preview", tmp_path / "run", "x", "--mail"),
        ("crm", tmp_path / "run"),
    ):
        assert say(*verb) == 1
        assert "build it with --format" in capsys.readouterr().err
    assert say("send", tmp_path, "--dry-run") == 1
    assert "is not a run folder" in capsys.readouterr().err


def test_a_slow_server_is_waited_for(run: Path, post: Post, say: Say) -> None:
    post.delay = 0.3
    with mail_server(post, enable_SMTPUTF8=True) as port:
        timer = threading.Timer(1.0, lambda: setattr(post, "delay", 0.0))
        timer.start()
        assert say("send", run, *to(port)) == 0
        timer.join()
    assert read_record(run / "sending.journal").count() == {State.ACCEPTED: MADE}
