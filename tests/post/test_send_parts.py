"""What goes over the wire, and the list of people who must not be written to."""

from __future__ import annotations

import email
import sys
from email import policy
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from mail_server import key_of, message_of

from reportgen.errors import ConfigError
from reportgen.mail.address import read_address
from reportgen.post.letters import check_recipient, redirected, wire_form
from reportgen.post.suppressed import Suppressed, read_suppressed, suppress

ANN = read_address("Ann@Bücher.test")


@given(st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"x", b"\xe9"]), max_size=30).map(b"".join))
def test_no_body_can_end_the_message_early(body: bytes) -> None:
    wire = wire_form(b"To: a@x.test\r\n\r\n" + body)
    lines = wire.data.split(b"\r\n")
    assert wire.data.endswith(b"\r\n")
    assert b"." not in lines
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    plain = b"\r\n".join(line.removeprefix(b".") for line in lines)
    assert sha256(plain).hexdigest() == wire.digest
    assert wire.ascii == body.isascii()
    assert not wire.utf8_head


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"", "no header"),
        (b"\r\n\r\nbody", "no header"),
        (b"To: a@x.test\r\n", "no header"),
        (b"To: a@x.test\r\n\r\n\0", "NUL"),
        (b"To: a@x.test\r\n\r\n" + b"x" * 999, "998"),
    ],
)
def test_what_no_server_takes(message: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        wire_form(message)


def test_the_longest_line_goes_through() -> None:
    wire_form(b"To: a@x.test\r\n\r\n" + b"x" * 998 + b"\r\n" + b"y" * 998)


@pytest.mark.parametrize(
    "head",
    [
        "To: Ann@xn--bcher-kva.test",
        "To: <Ann@BÜCHER.test>",
        'To: "Ann, v@evil.test"\r\n <Ann@xn--bcher-kva.test>',
        "To: =?utf-8?B?5p2O?=\r\n <Ann@xn--bcher-kva.test>",
    ],
)
def test_a_message_of_this_person(head: str) -> None:
    check_recipient(f"{head}\r\nSubject: x\r\n\r\nTo: v@evil.test\r\n".encode(), ANN)


@pytest.mark.parametrize(
    "head",
    [
        "Subject: x",
        "To: bob@xn--bcher-kva.test",
        "To: ann@xn--bcher-kva.test",  # another case may be another person there
        "To: Ann@xn--bcher-kva.test, v@evil.test",
        "To: Ann@xn--bcher-kva.test\r\nTo: v@evil.test",
        "To: Ann@xn--bcher-kva.test\r\nBcc: v@evil.test",
        "To: Ann@xn--bcher-kva.test\r\nCc: v@evil.test",
        "To: Ann@xn--bcher-kva.test\r\nResent-To: v@evil.test",
        "To: undisclosed:;",
        "To: ",
        "To: \udcff",
    ],
)
def test_a_message_of_somebody_else(head: str) -> None:
    with pytest.raises(ValueError, match=r"addressed to this person|tell of others|cannot be read"):
        check_recipient(f"{head}\r\n\r\nbody".encode("utf-8", "surrogateescape"), ANN)


def test_a_test_round_keeps_everything_but_the_person() -> None:
    before = message_of(1).replace(b"Subject: Why", b"Cc: x@y.test,\r\n z@y.test\r\nSubject: Why\r\n so")
    after = redirected(before, read_address("crm@shop.test"))
    old, new = (email.message_from_bytes(data, policy=policy.SMTP) for data in (before, after))
    assert new["To"] == "crm@shop.test"
    assert new["Message-ID"] == "<test.1@shop.test>"
    gone = {"To", "Cc", "List-Unsubscribe", "List-Unsubscribe-Post", "Message-ID"}
    assert set(old.keys()) - set(new.keys()) == gone - {"To", "Message-ID"}
    assert all(old[name] == new[name] for name in set(new.keys()) - gone)
    assert after.partition(b"\r\n\r\n")[2] == before.partition(b"\r\n\r\n")[2]


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "line",
    [
        "Ann@Bücher.test",
        " ann@XN--BCHER-KVA.test ",
        digest("ann@bücher.test"),
        digest("ann@xn--bcher-kva.test").upper(),
        key_of(77),
    ],
)
def test_a_line_of_the_suppression_list_finds_its_person(line: str) -> None:
    listed = suppress(["# left out", "", line])
    assert len(listed) == 1
    assert listed.holds(key_of(77), ANN)
    assert not listed.holds(key_of(78), read_address("bob@xn--bcher-kva.test"))
    assert "ann" not in repr(listed).lower()


def test_an_empty_list_holds_nobody() -> None:
    assert not Suppressed().holds(key_of(1), ANN)


def test_a_file_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "suppressed.txt"
    path.write_bytes("\ufeff# exported\r\nANN@bücher.test\r\n\r\n".encode())
    assert read_suppressed(path).holds(key_of(1), ANN)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a@x.test\nann at shop\n", "line 2: no address"),
        (b"a@x.test; b@x.test", "line 1"),
        (b"d41d8cd98f00b204e9800998ecf8427e", "line 1"),  # MD5: silently finding nobody would be worse
        (b"\xff\xfea\0", "not UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_half_a_list_is_no_list(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "suppressed.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=why) as caught:
        read_suppressed(path)
    assert "ann at" not in str(caught.value)
