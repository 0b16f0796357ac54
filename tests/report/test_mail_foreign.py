"""Mails about another model, and about another system's list: they say so, and claim no reason that nobody knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from crafted import craft, usual
from foreign_pages import ATTENTION, CONTRIBUTION
from mails import HEADERS, config, message_of, receive

from reportgen.explain.foreign import ForeignExplanation
from reportgen.explain.surrogate import Agreement, Surrogate
from reportgen.mail.page import MOST_REASONS, mail_page
from reportgen.report.build import Reader
from reportgen.report.document import Report
from reportgen.report.foreign import build_foreign_report
from reportgen.report.surrogate import build_surrogate_report
from reportgen.report.words import LOCALES, words

CASES = ATTENTION | CONTRIBUTION


def told(make: Callable[[], ForeignExplanation], locale: str = "en") -> Report:
    return build_foreign_report(make(), locale, config=config(), reader=Reader("key"))


def surrogate(locale: str = "en") -> Report:
    agreement = Agreement("Engine", 3, 0.25, 0.5, 0.5)
    why = craft([[[3.0], [1.0]], [[0.5], [0.5]]])
    return build_surrogate_report(Surrogate(why, agreement), locale, config=config(), reader=Reader("key"))


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_a_mail_says_whose_model_it_is_and_what_its_numbers_are(
    make: Callable[[], ForeignExplanation], locale: str
) -> None:
    report = told(make, locale)
    got, say = receive(message_of(report)), words(locale).say
    kind = "contribution" if make().kind == "contribution" else "attention"
    assert got.message.keys() == HEADERS
    assert got.message["Subject"] == say(f"mail.{kind}_subject")
    text, page = (re.sub(r"\s", "", one) for one in (got.text, unescape(re.sub(r"<[^>]*>", "", got.html))))
    for line in (report.lead, say(f"mail.{kind}_shares"), *(note for item in report.items[:1] for note in item.notes)):
        bare = re.sub(r"[\s\u2068\u2069]", "", line)
        assert bare in text.replace("\u2068", "").replace("\u2069", "")
        assert bare in page.replace("\u2068", "").replace("\u2069", "")
    for claim in ("mail.subject", "mail.preheader", "mail.shares"):
        assert re.sub(r"\s", "", say(claim)) not in text + page


@pytest.mark.parametrize("make", ATTENTION.values(), ids=ATTENTION)
def test_the_bars_of_attention_are_all_of_it_or_nothing(make: Callable[[], ForeignExplanation]) -> None:
    page = mail_page(told(make), words("en"), "png", "")
    for shown in page.items:
        assert sum(bar.share for bar in shown.bars) in (0, 100)
        assert sum(not bar.quiet for bar in shown.bars) <= MOST_REASONS
        assert not shown.picture
    assert page.chart is None


def test_positions_that_are_no_products_are_not_called_history() -> None:
    page = mail_page(told(ATTENTION["elsewhere"]), words("en"), "cells", "")
    assert [(bar.label, bar.share, bar.quiet) for bar in page.items[0].bars] == [
        ("Positions that are no products", 100, True)
    ]


@pytest.mark.parametrize("locale", LOCALES)
def test_a_mail_about_a_given_list_says_that_our_model_stands_in(locale: str) -> None:
    report, say = surrogate(locale), words(locale).say
    got = receive(message_of(report))
    assert got.message["Subject"] == say("mail.given_subject") != say("mail.subject")
    for line in (report.lead, say("mail.given_shares")):
        bare = re.sub(r"[\s\u2068\u2069]", "", line)
        assert bare in re.sub(r"[\s\u2068\u2069]", "", got.text)
    assert "Engine" in got.text
    assert re.sub(r"\s", "", say("mail.shares")) not in re.sub(r"\s", "", got.text)


def test_our_own_mail_is_as_it_was() -> None:
    page = mail_page(usual(), words("en"), "cells", "")
    assert (page.subject, page.shares) == (words("en").say("mail.subject"), words("en").say("mail.shares"))
