"""Encryption, certificates, logins and international addresses, with a real server and an authority of our own."""

from __future__ import annotations

import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from mail_server import Post, address_of, key_of, letters, mail_server, message_of

from reportgen.errors import ConfigError
from reportgen.post.journal import Journal
from reportgen.post.journal_record import Binding, read_record
from reportgen.post.letters import Letter
from reportgen.post.send import Retries, SendSummary, Server, send
from reportgen.post.server import read_server, scrub

RUN = Binding("0123456789abcdef", "c" * 64)
SECRET = "correct horse"


class Trust:
    """An authority, a server's context for a name, and the file that a client trusts."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.pem = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(self.pem))

    def context(self, name: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert(name).configure_cert(context)
        return context


@pytest.fixture(name="trust", scope="module")
def _trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    return Trust(tmp_path_factory.mktemp("trust"))


@pytest.fixture(name="go")
def _go(tmp_path: Path) -> Callable[..., SendSummary]:
    def go(port: int, security: Any, outbox: Any = None, **more: Any) -> SendSummary:
        server = Server("127.0.0.1", port, security, seconds=5, final_seconds=5, **more)
        with Journal(tmp_path / "journal", RUN) as journal:
            ours: dict[str, Any] = {"sender": "b@shop.test", "rate": 1e6, "retries": Retries(0)}
            return send(outbox or letters(3), server, journal, clock=time.monotonic, sleep=time.sleep, **ours)

    return go


def test_tls_from_the_first_byte(trust: Trust, go: Callable[..., SendSummary]) -> None:
    post = Post()
    with mail_server(post, tls=trust.context()) as port:
        assert go(port, "tls", authorities=trust.pem) == SendSummary(3)
    assert [data for _, _, data in post.taken] == [message_of(n) for n in range(3)]


def test_tls_on_command_with_a_login(trust: Trust, go: Callable[..., SendSummary]) -> None:
    post = Post()
    with mail_server(post, starttls=trust.context(), login=("shop", SECRET)) as port:
        assert go(port, "starttls", authorities=trust.pem, user="shop", password=SECRET) == SendSummary(3)
    assert post.logins == ["PLAIN"]


def test_a_password_beyond_ascii(trust: Trust, go: Callable[..., SendSummary]) -> None:
    with mail_server(Post(), starttls=trust.context(), login=("商店", "密碼é")) as port:
        assert go(port, "starttls", authorities=trust.pem, user="商店", password="密碼é") == SendSummary(3)


def test_a_wrong_password_is_told_without_it(trust: Trust, go: Callable[..., SendSummary], tmp_path: Path) -> None:
    with mail_server(Post(), starttls=trust.context(), login=("shop", SECRET)) as port:
        found = go(port, "starttls", authorities=trust.pem, user="shop", password="battery staple")
    assert "535" in found.stopped
    assert "check user and password" in found.stopped
    assert "battery" not in repr(found)
    assert read_record(tmp_path / "journal").states == {}
    assert "battery" not in repr(Server("h", 25, user="shop", password="battery staple"))
    assert "shop" not in repr(Server("h", 25, user="shop", password="battery staple"))


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_certificate_that_does_not_stand(
    trust: Trust, go: Callable[..., SendSummary], security: str, wrong: str
) -> None:
    post, context = Post(), trust.context("127.0.0.1" if wrong == "authority" else "mail.shop.test")
    server = {"tls": context} if security == "tls" else {"starttls": context}
    trusted = {} if wrong == "authority" else {"authorities": trust.pem}
    with mail_server(post, **server) as port:  # type: ignore[arg-type]
        found = go(port, security, user="shop", password=SECRET, **trusted)
    assert "certificate that cannot be trusted" in found.stopped
    assert post.taken == []
    assert post.logins == []


def test_a_server_without_starttls_gets_nothing_in_the_open(trust: Trust, go: Callable[..., SendSummary]) -> None:
    post = Post()
    for more in ({}, {"starttls": trust.context(), "hidden": ("STARTTLS",)}):
        with mail_server(post, **more) as port:  # type: ignore[arg-type]
            found = go(port, "starttls", authorities=trust.pem, user="shop", password=SECRET)
        assert "does not offer STARTTLS; nothing was sent in the open" in found.stopped
    assert post.taken == []
    assert post.logins == []


def test_tls_asked_of_a_server_that_has_none(go: Callable[..., SendSummary]) -> None:
    with mail_server(Post()) as port:
        assert "no encryption could be agreed on" in go(port, "tls").stopped


def test_a_login_that_is_not_offered(trust: Trust, go: Callable[..., SendSummary]) -> None:
    with mail_server(Post(), starttls=trust.context(), hidden=("AUTH",)) as port:
        found = go(port, "starttls", authorities=trust.pem, user="shop", password=SECRET)
    assert "does not offer a login" in found.stopped


def test_a_login_in_the_open_is_refused() -> None:
    with pytest.raises(ConfigError, match="would give the password away"):
        Server("127.0.0.1", 25, "none", user="shop", password=SECRET)
    with pytest.raises(ConfigError, match="both or neither"):
        Server("127.0.0.1", 25, user="shop")
    with pytest.raises(ConfigError, match="port 70000"):
        Server("127.0.0.1", 70000)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("smtp.shop.test:587", ("smtp.shop.test", 587, "starttls")),
        ("smtp.shop.test:465", ("smtp.shop.test", 465, "tls")),
        ("[2001:db8::25]:25", ("2001:db8::25", 25, "starttls")),
    ],
)
def test_a_server_is_written_host_and_port(text: str, read: tuple[str, int, str]) -> None:
    assert read_server(text) == read


@pytest.mark.parametrize(
    "text", ["smtp.shop.test", "2001:db8::25:25", ":25", "u:p@h:25", "h:x", "h: 25", "", "smtp://h:25", "h:٢٥"]
)
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        read_server(text)


# --- letters beyond ASCII


def beyond(number: int, to: str, subject: str = "x") -> Letter:
    return Letter(key_of(number), to, message_of(number, to).replace(b"Why we", subject.encode()))


def test_an_international_domain_needs_nothing_of_the_server(go: Callable[..., SendSummary]) -> None:
    post = Post()
    with mail_server(post, enable_SMTPUTF8=False) as port:
        letter = Letter(key_of(0), "ann@Bücher.test", message_of(0, "ann@xn--bcher-kva.test"))
        assert go(port, "none", [letter]) == SendSummary(1)
    assert post.taken[0][1] == "ann@xn--bcher-kva.test"


def test_an_international_name_needs_smtputf8(go: Callable[..., SendSummary]) -> None:
    post, outbox = Post(), [beyond(0, "用户@shop.test"), beyond(1, address_of(1), "为什么"), beyond(2, address_of(2))]
    with mail_server(post, enable_SMTPUTF8=False) as port:
        found = go(port, "none", outbox)
    assert (found.sent, [note.key for note in found.unsendable]) == (1, [key_of(0), key_of(1)])
    assert all("SMTPUTF8" in note.words for note in found.unsendable)
    with mail_server(post) as port:  # another server, another try: it was nobody's refusal
        assert go(port, "none", outbox) == SendSummary(2, sent_before=1)
    assert [recipient for _, recipient, _ in post.taken] == [address_of(2), "用户@shop.test", address_of(1)]
    assert "为什么".encode() in post.taken[2][2]


# --- the words of servers

LOCAL = st.text("abcdefghijklmnopqrstuvwxyz0123456789._+-", min_size=1, max_size=12).map(
    lambda text: f"q{text}q".replace(".", "_")
)


@given(
    LOCAL,
    st.sampled_from(
        ["<{}@{}> unknown", "user {} unknown at {}", "{}%40{} no", "to={}=40{}", '"{}" ({})', "bob {0}\u200b {1}"]
    ),
)
@settings(max_examples=60)
def test_no_form_of_an_address_is_left_in_words(local: str, form: str) -> None:
    domain = "shop-of-q.test"
    for name, host in ((local, domain), (local.upper(), domain.title())):
        told = scrub(f"5.1.1 {form.format(name, host)}".encode(), local, domain).lower()
        assert local.lower() not in told
        assert domain not in told
        assert told.startswith("5.1.1")


def test_words_are_one_short_line() -> None:
    told = scrub(b"bad\r\n\x1b[31m\xff" + b"long " * 200)
    assert told.startswith("bad ")
    assert "\n" not in told
    assert "\x1b" not in told
    assert len(told) <= 201
