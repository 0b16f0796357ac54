"""Headers of mails: nothing foreign becomes one, addresses are checked, and what law or RFC needs is asked for by name."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage

import mails
import pytest
import samples
from crafted import random_explanation
from hostile import CASES, SHARED, report_of, shared_list
from hypothesis import example, given
from hypothesis import strategies as st
from mails import DATE, HEADERS, STOP_URL, TO, TOKEN, config, message_of, operator, receive, with_subject

from reportgen.config import Config
from reportgen.errors import ConfigError, RenderError
from reportgen.mail.address import AddressError, encoded_words, header_text, mailbox, read_address, unstructured
from reportgen.mail.message import check_wire
from reportgen.mail.parts import STOP
from reportgen.mail.render import build_message, mail_problems, mail_setup, render_mail, write_eml
from reportgen.report.build import Reader, build_report

INJECTIONS = [
    "hi\r\nBcc: v@evil.test", "hi\nBcc: v@evil.test", "hi\rBcc: v@evil.test", "hi\r\n\r\n<b>body</b>",
    "=?utf-8?q?=0D=0ABcc=3A_v=40evil.test?=", "=?utf-8?b?DQpCY2M6IHZAZXZpbC50ZXN0?=", "=?utf-8?q?a=0D=0ABcc:v=40e.test?=",
    "=?=?utf-8?q?x?=",
    "= ?utf-8?q?x?=", "a\x00b", "\ud800",
    "a\u2028Bcc: v@evil.test", "a\u0085Bcc: v@evil.test", "a\x0bBcc: x", "x" * 1000, "x " * 500, "你好" * 200, "😀" * 100,
    "Ann, v@evil.test", 'Ann" <v@evil.test>, "', "\\", "(comment", "\u202egro.live",
    "=?utf-8?q?" + "=41" * 40 + "?=",
]  # fmt: skip
SUBJECTS = {
    "emoji": "🎁 Why these? 👩‍👩‍👧",
    "Chinese": "您为什么会看到这些商品？" * 3,
    "plain": "Why you saw these products",
    "Latin": "Pourquoi ça ?",
}
BASE = render_mail(samples.bare(), config=config())


def build(subject: str = "Subject", name: str = "", to: str = TO, settings: Config | None = None) -> EmailMessage:
    return build_message(with_subject(BASE, subject), to, settings or config(), TOKEN, DATE, run="r", name=name)


def check_headers(message: EmailMessage) -> EmailMessage:
    """The set of headers as it should be, for the strictest reader and for one that decodes twice; one recipient."""
    raw = write_eml(message)
    for policy in (email.policy.default, email.policy.compat32, email.policy.SMTP):
        back = email.message_from_bytes(raw, policy=policy)
        assert back.keys() == HEADERS
        again = email.message_from_bytes(back.as_bytes(), policy=policy)  # decoded, and written by somebody else
        assert again.keys() == HEADERS
        twice = EmailMessage(email.policy.SMTP)
        if policy is email.policy.default:
            assert [len(back["To"].addresses), len(back["From"].addresses)] == [1, 1]
            for header in ("Subject", "To", "From"):
                twice[header] = str(back[header])
            assert email.message_from_bytes(twice.as_bytes()).keys() == ["Subject", "To", "From"]
    head = raw.partition(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 998
    return email.message_from_bytes(raw, policy=email.policy.default)  # type: ignore[return-value]


@pytest.mark.parametrize("text", INJECTIONS, ids=range(len(INJECTIONS)))
def test_no_text_becomes_a_header(text: str) -> None:
    back = check_headers(build(text, text, settings=config(from_name=f"Shop {text}")))
    assert back["To"].addresses[0].addr_spec == TO
    assert back["From"].addresses[0].addr_spec == "hello@shop.test"


def test_the_same_texts_do_harm_where_nothing_is_done() -> None:
    """Control: the library that ours stands in for. Newer Pythons are mended, so any harm to the texts counts."""
    harmed = 0
    for text in INJECTIONS:
        message = EmailMessage(email.policy.SMTP)
        try:
            message["Subject"] = text
            raw = message.as_bytes()
            harmed += email.message_from_bytes(raw).keys() != ["Subject"] or text.encode("ascii", "ignore") not in raw
        except Exception:
            harmed += 1
    assert harmed >= 5


@given(text=st.text(max_size=300), name=st.text(max_size=80))
@example(text="=?utf-8?q?=0D=0ABcc=3A_v=40evil.test?=", name="=?utf-8?q?a=0D=0ABcc:v=40e.test?=")
@example(text="\U0010ffff", name="\u202e")
def test_headers_hold_for_any_text(text: str, name: str) -> None:
    back = check_headers(build(text, name))
    assert back["Subject"] == " ".join(header_text(text, 150).split(" "))
    # Python 3.11 leaves the space between two encoded words of a name, which RFC 2047 (6.2) drops.
    assert back["To"].addresses[0].display_name.replace(" ", "") == header_text(name, 60).replace(" ", "")


@given(
    text=st.lists(
        st.sampled_from(["=", "?", "=?", "?=", "utf-8", "q", "b", "=0D", "=0A", "\r", "\n", ":", "Bcc", " ", "\t", "é"])
    ).map("".join)
)
def test_headers_hold_for_what_looks_like_encoded_words(text: str) -> None:
    check_headers(build(text, text, settings=config(from_name=f"S{text}")))


@given(text=st.text(alphabet=st.characters(blacklist_categories=("Cs",)), max_size=200))
def test_encoded_words_give_the_text_back(text: str) -> None:
    written = encoded_words(text)
    parts = written.split("\r\n ")
    assert all(len(part) <= 75 and part.isascii() for part in parts)
    read = (
        "".join(part.decode(charset or "ascii") for part, charset in email.header.decode_header(written))
        if text
        else ""
    )
    assert read == text


@pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)
def test_subjects_of_every_script_arrive(subject: str) -> None:
    settings = config(subject={"en": subject})
    got = receive(message_of(samples.rich("en"), settings))
    assert got.message["Subject"] == header_text(subject, 150)
    assert f"<title>{subject}</title>" in got.html
    assert receive(message_of(samples.rich("zh-CN"), settings)).message["Subject"] == "您为什么会看到这些商品"


def test_a_subject_of_nothing_is_the_built_in_one() -> None:
    made = render_mail(samples.bare(), config=config(subject={"en": "\u202e \u200b"}))
    assert made.subject == "Why you saw these products"


# -- hostile texts through the whole mail ----------------------------------------------------------------------------

NAMES = tuple(CASES)
GROUPS = [NAMES[at : at + 12] for at in range(0, len(NAMES), 12)]


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_hostile_texts_stay_text(names: tuple[str, ...]) -> None:
    """In every place of a report that takes text, and in every header that does."""
    usual = {tag for tag, _ in receive(message_of(report_of("Plain lamp"))).page.tags}
    for case in names:
        text = CASES[case]
        settings = config(from_name=f"Shop {text}", postal_address=f"Street {text}", subject={"en": text})
        got = receive(message_of(report_of(text), settings, name=text))
        assert got.message.keys() == HEADERS
        assert {tag for tag, _ in got.page.tags} <= usual
        assert got.links == {"https://shop.test/a?b=1&c=2", "mailto:no@shop.test", STOP_URL}


def test_the_shared_list_is_there() -> None:
    if shared_list() is None:
        pytest.skip("no shared list of bad inputs beside the repository")
    assert {"mail-01", "mail-02", "mail-03", "mail-08"} <= set(SHARED)


@pytest.mark.parametrize(
    "case",
    [case for case in shared_list() or [] if case["where"] == "user.email"] or [None],
    ids=lambda c: c["id"] if c else "none",
)
def test_addresses_of_the_shared_list_are_refused(case: dict[str, str] | None) -> None:
    if case is None:
        pytest.skip("no shared list of bad inputs beside the repository")
    with pytest.raises(AddressError) as caught:
        build(to=case["value"])
    assert case["value"] not in str(caught.value)
    assert "x.test" not in str(caught.value)


# -- addresses ------------------------------------------------------------------------------------------------------

GOOD = {
    "ann@example.test": "ann@example.test",
    " ann@example.test ": "ann@example.test",
    "Ann.O'Neil+tag@EXAMPLE.Test": "Ann.O'Neil+tag@example.test",
    "a@xn--bcher-kva.example": "a@xn--bcher-kva.example",
    "a@Bücher.example": "a@xn--bcher-kva.example",
    "a@bu\u0308cher.example": "a@xn--bcher-kva.example",
    "a@例子.测试": "a@xn--fsqu00a.xn--0zwm56d",
    "{a}|b~c@x-y.co": "{a}|b~c@x-y.co",
    "a" * 64 + "@x.test": "a" * 64 + "@x.test",
    "用户@例子.测试": "用户@xn--fsqu00a.xn--0zwm56d",
    "jürgen@example.test": "jürgen@example.test",
    "ju\u0308rgen@example.test": "jürgen@example.test",
}
BAD = [
    "", " ", "@", "a@", "@x.test", "a", "a@b@c.test", "a b@x.test", "a@x.test, b@y.test", "a@x.test SIZE=1",
    "a@x.test\r\nRCPT TO:<v@e.test>", "a@x.test\n", "Ann <a@x.test>", "<a@x.test>", '"a b"@x.test', "a..b@x.test",
    ".a@x.test", "a.@x.test", "a@localhost", "a@[127.0.0.1]", "a@127.0.0.1", "a@-x.test", "a@x-.test", "a@x..test",
    "a@.test", "a@x.test.", "a" * 65 + "@x.test", "é" * 33 + "@x.test", "a@" + "x" * 64 + ".test",
    "a@" + "x." * 127 + "test", "a\x00@x.test", "a@x\x00.test", "a\u200b@x.test", "a\u202e@x.test", "a@straße.test",
    "a@x.test;b@y.test", "a;b@x.test", "a:b@x.test", "a,b@x.test", "a@x_y.test", "\ud800@x.test", "a@\ud800.test",
    "a\u3000b@x.test", "a\u2028b@x.test", "a@x.test?subject=x", "a%0d@x.test\r", "=?utf-8?q?x?=@x.test ",
]  # fmt: skip


@pytest.mark.parametrize(("text", "spec"), GOOD.items())
def test_good_addresses(text: str, spec: str) -> None:
    found = read_address(text)
    assert found.spec == spec
    assert found.needs_utf8 == (not spec.isascii())
    message = build(to=text, name="Ann é")
    assert message.policy.utf8 == found.needs_utf8  # type: ignore[attr-defined]
    back = email.message_from_string(write_eml(message).decode("utf-8"), policy=email.policy.SMTPUTF8)
    assert back.keys() == HEADERS
    assert back["To"].addresses[0].addr_spec == spec
    assert back["To"].addresses[0].display_name == "Ann é"


@pytest.mark.parametrize("text", BAD[:-1], ids=range(len(BAD) - 1))
def test_bad_addresses_are_refused_without_repeating_them(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        read_address(text)
    assert len(text) < 4 or text not in str(caught.value)


@given(st.text(max_size=60))
@example(BAD[-1])
def test_an_address_is_one_mailbox_or_refused(text: str) -> None:
    try:
        found = read_address(text)
    except AddressError:
        return
    assert not re.search(r"[\s<>,;:\"()\\\[\]]", found.spec)
    message = EmailMessage(email.policy.SMTPUTF8)
    message["To"] = mailbox("", found, utf8=True)
    assert [a.addr_spec for a in message["To"].addresses] == [found.spec] or "=?" in found.spec


# -- what law and RFC need -------------------------------------------------------------------------------------------


def test_a_bare_configuration_is_refused_with_a_list_of_all_that_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        build_message(BASE, TO, Config(), TOKEN, DATE)
    for part in (
        "[mail] from_address",
        "[operator] name",
        "[mail] postal_address",
        "non_personalised",
        "[mail] unsubscribe",
    ):
        assert part in str(caught.value)
    assert len(mail_problems(Config())) == 5
    assert mail_problems(config()) == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (operator(name=" \u202e"), "operator] name is missing"),
        (operator(address=""), "postal_address or"),
        (operator(links={}), "non_personalised is missing"),
        (config(from_address=""), "from_address is missing"),
        (config(from_address="hello"), "from_address cannot be used"),
        (config(from_address="你好@shop.test"), "not ASCII before the @"),
        (config(from_address="a@x.test\r\nBcc: b@y.test"), "from_address cannot be used"),
        (config(reply_to="a@x.test, b@y.test"), "reply_to cannot be used"),
        (config(unsubscribe_address="x"), "unsubscribe_address cannot be used"),
        (config(unsubscribe=""), "unsubscribe is missing"),
        (config(unsubscribe="https://shop.test/stop"), "with {token} in it once"),
        (config(unsubscribe="http://shop.test/{token}"), "is not an https address"),
        (config(unsubscribe="mailto:stop@shop.test?subject={token}"), "is not an https address"),
        (config(unsubscribe="https://shop.test/{token}/{token}"), "in it once"),
        (config(unsubscribe="https://{token}.shop.test/"), "in the host"),
        (config(unsubscribe="https://shop.test/{token}>\r\nBcc: x"), "is not an https address"),
        (config(list_id="shop"), "is no list id"),
        (config(list_id="a b.test"), "is no list id"),
        (config(list_id="x.test>\r\nBcc: y"), "is no list id"),
    ],
)  # fmt: skip
def test_each_missing_or_wrong_setting_is_named(settings: Config, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        mail_setup(settings)
    with pytest.raises(ConfigError, match=re.escape(said)):
        build(settings=settings)


def test_the_headers_say_what_the_standards_ask_for() -> None:
    settings = config(
        unsubscribe_address="stop@shop.test", reply_to="help@shop.test", from_name="The shop", list_id="why.shop.test"
    )
    raw = write_eml(build(settings=settings)).decode("ascii")
    head = re.sub(r"\r\n ", " ", raw.partition("\r\n\r\n")[0]).split("\r\n")
    assert head == [
        'From: "The shop" <hello@shop.test>',
        "Reply-To: <help@shop.test>",
        f"To: <{TO}>",
        "Subject: Subject",
        "Content-Language: en",
        "Auto-Submitted: auto-generated",
        "Date: Mon, 29 Jun 2026 08:30:00 +0000",
        head[7],
        "List-Id: <why.shop.test>",
        f"List-Unsubscribe: <{STOP_URL}>, <mailto:stop@shop.test?subject={TOKEN}>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "MIME-Version: 1.0",
        'Content-Type: multipart/alternative; boundary="=_reportgen_alternative"',
    ]
    assert head[7].startswith("Message-ID: <")


def test_a_long_link_stays_whole() -> None:
    long = f"https://shop.test/{'a' * 300}/{{token}}"
    message = build(settings=config(unsubscribe=long))
    assert f"<{long.replace('{token}', TOKEN)}>".encode() in write_eml(message)
    assert message["List-Unsubscribe"] == f"<{long.replace('{token}', TOKEN)}>"


@pytest.mark.parametrize("token", ["", "short", "x" * 129, "a/b" * 8, "ann@example.test.....", "a\r\nb" * 8, "ü" * 20])
def test_a_token_is_letters_and_digits(token: str) -> None:
    with pytest.raises(ConfigError, match="16 to 128"):
        build_message(BASE, TO, config(), token, DATE)


def test_the_date_is_the_one_given() -> None:
    there = DATE.astimezone(timezone(timedelta(hours=8)))
    message = build_message(BASE, TO, config(), TOKEN, there)
    assert message["Date"] == "Mon, 29 Jun 2026 16:30:00 +0800"
    with pytest.raises(ConfigError, match="time zone"):
        build_message(BASE, TO, config(), TOKEN, datetime(2026, 6, 29))


def test_what_was_not_built_is_not_written() -> None:
    """Controls of the last check, which looks at bytes."""
    raw, names = write_eml(build()), list(HEADERS)
    check_wire(raw, names)
    for bad, said in (
        (raw.replace(b"Subject:", b"Bcc: x@evil.test\r\nSubject:"), "has the headers"),
        (raw.replace(b"\r\nList-Id: <suggestions.shop.test>", b""), "has the headers"),
        (raw + b"\n", "line end"),
        (raw + b"\r", "line end"),
        (raw + b"x" * 999 + b"\r\n", "more than 998"),
    ):
        with pytest.raises(RenderError, match=said):
            check_wire(bad, names)
    injected = build()
    injected.replace_header("Subject", "x\r\nBcc: v@evil.test")
    with pytest.raises(RenderError, match="has the headers"):
        write_eml(injected)


def test_names_of_readers_arrive() -> None:
    for name in ("Ann", 'Ann "the" O\\Neil', "王小明", "Ann, of X", samples.ARABIC):
        report = build_report(random_explanation(1), config=config(), reader=Reader("k", name))
        assert receive(message_of(report, name=name)).message["To"].addresses[0].display_name == name
    assert unstructured("a" * 30 + " " + "b" * 60) == "a" * 30 + "\r\n " + "b" * 60


def test_no_part_of_a_mail_can_hold_a_boundary() -> None:
    text = "--=_reportgen_alternative\r\n\r\n--=_reportgen_alternative--"
    got = receive(message_of(report_of(text), mails.config(postal_address=text)))
    assert got.raw.count(b"\r\n--=_reportgen_alternative") == 3


def test_no_title_can_stand_for_the_link_that_stops_the_mails() -> None:
    title = f'href="{STOP}"'
    report = build_report(random_explanation(2, 2, 2, titles=[title, "B"], picks=[title, "Q"]), config=config())
    got = receive(message_of(report))
    assert [got.html.count(TOKEN), got.text.count(TOKEN)] == [1, 1]
    assert "https://unsubscribe.invalid/\ufffd" in got.text
