"""Mails: what stands in them, that both forms say the same, that nothing personal is seen from outside, the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import mails
import numpy as np
import pytest
import samples
from crafted import USER, craft, random_explanation, usual
from mails import STOP_URL, TO, TOKEN, config, message_of, receive

from reportgen.config import Config
from reportgen.errors import ConfigError, RenderError
from reportgen.mail.crm import defused, render_crm
from reportgen.mail.page import MOST_ITEMS, mail_page
from reportgen.mail.render import render_mail, unsubscribe_token, write_eml
from reportgen.mail.text import WIDTH, columns, plain, wrapped
from reportgen.report.build import Reader, build_report
from reportgen.report.document import Report
from reportgen.report.words import LOCALES, name, words

REPORTS = {
    **{f"rich {locale}": lambda locale=locale: samples.rich(locale) for locale in LOCALES},
    **{f"{n} {locale}": lambda n=n, locale=locale: samples.history(n, locale) for n in (0, 1, 15, 200) for locale in LOCALES},
    **{f"right to left {locale}": lambda locale=locale: samples.arabic(locale) for locale in LOCALES},
    "all folded": samples.all_folded,
    "bare": samples.bare,
    "hostile": samples.hostile,
    "usual": usual,
    "none": lambda: build_report(craft(np.zeros((0, 3, 4)), base=[], picks=[]), config=config()),
}  # fmt: skip


def shown_text(html: str) -> str:
    """The text of a page as it is read, in one line."""
    body = re.sub(r"<style>.*?</style>|<title>.*?</title>|<!--.*?-->", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"[\u034f\u2007]", " ", unescape(re.sub(r"<[^>]*>", " ", body))).split())


@pytest.mark.parametrize("make", REPORTS.values(), ids=REPORTS)
def test_every_message_reads_back_whole(make) -> None:  # type: ignore[no-untyped-def]
    report = make()
    got = receive(message_of(report))
    assert got.message.keys() == mails.HEADERS
    assert got.links == {*(link.url for section in report.sections for link in section.links), STOP_URL}
    assert got.html.startswith(f'<!DOCTYPE html><html lang="{report.locale}"')
    assert got.message["Content-Language"] == report.locale
    assert max(len(line) for line in got.raw.split(b"\r\n")) <= 78


@pytest.mark.parametrize("make", REPORTS.values(), ids=REPORTS)
def test_text_and_page_say_the_same(make) -> None:  # type: ignore[no-untyped-def]
    """Every word of the page is a word of the text, labels of the chart aside, which the text may cut."""
    report, got = make(), receive(message_of(make()))
    text = re.sub(r"\s", "", got.text)
    wanted = [report.title, report.lead, report.banner, *report.meta, *report.footer]
    wanted += [
        part for item in report.items[:MOST_ITEMS] for part in (item.title, item.sentence, *item.facts, *item.notices)
    ]
    wanted += [line for section in report.sections if section.id in ("data", "choices") for line in section.paragraphs]
    page = re.sub(r"\s", "", shown_text(got.html))
    for line in wanted:
        bare = re.sub(r"\s", "", plain(line))
        assert bare in text, line
        assert bare in page, line


def test_bars_and_columns_add_up_to_all() -> None:
    for seed in range(12):
        report = build_report(random_explanation(seed, 7, 14, hidden=[2, 5]), config=config())
        page = mail_page(report, words("en"), "cells", "")
        assert len(page.items) == MOST_ITEMS
        assert page.more == 2
        for shown in page.items:
            assert sum(bar.share for bar in shown.bars) == 100
        assert page.chart is not None
        columns_of = list(zip(*([cell.value for cell in cells] for _, cells, _ in page.chart.rows), strict=True))
        assert [sum(column) for column in columns_of] == [100] * len(page.chart.columns)
        assert [quiet for _, _, quiet in page.chart.rows] == [False] * (len(page.chart.rows) - 1) + [True]


def test_the_figures_are_those_of_the_report() -> None:
    report = samples.rich("en")
    got = receive(message_of(report))
    for item in report.items:
        for row in [row for row in item.ledger.rows if row.kind in ("reason", "folded")][:3]:
            assert f"{row.share:>4}%  {row.label}" in got.text
            assert re.search(rf"{re.escape(row.label)}</td><td[^>]*>{row.share}%</td>", got.html)
    # control: another history gives other figures
    other = receive(message_of(build_report(random_explanation(77, 3, 5), config=config())))
    assert other.html != got.html


def test_a_product_of_which_nothing_speaks_has_no_bars() -> None:
    got = receive(message_of(samples.bare()))
    assert 'class="bar"' not in got.html
    assert "popularity adds nothing" in got.text


def test_the_longest_mail_is_not_cut_off() -> None:
    """Five products, long titles of wide signs, everything that the settings allow at its longest."""
    long = "收纳盒与玻璃罐" * 90
    more = {"report": {"title_length": 600, "reasons": 30}, "look": {"footer": long, "font": f'"{"x" * 40}", Arial'}}
    told = dict.fromkeys(("name", "purpose", "contact", "address", "retention"), long)
    raw = {"operator": samples.OPERATOR | told, "mail": mails.MAIL | {"postal_address": f"x{long}"}}
    settings = Config.from_dict(raw | more)
    details = [
        {
            "category": long,
            "brand": long,
            "price": 1e9,
            "currency": "EUR",
            "sponsored": True,
            "price_personalised": True,
        }
    ] * 9
    why = random_explanation(
        3,
        9,
        30,
        hidden=[4],
        titles=[f"{n}{long}" for n in range(30)],
        picks=[f"{n}{long}" for n in range(9)],
        details=details,
    )
    for locale in LOCALES:
        got = receive(message_of(build_report(why, locale, config=settings), settings))
        assert len(got.html.encode("utf-8")) > 60_000  # and at most 90,000: see `receive`


def test_a_reader_without_suggestions_gets_a_mail_that_says_so() -> None:
    made = render_mail(REPORTS["none"](), config=config())
    assert made.n_items == 0
    assert "There is nothing left that we could suggest to you." in made.text
    assert "percentages" not in made.text


# -- nothing personal outside ---------------------------------------------------------------------------------------


def test_subject_and_preheader_are_the_same_for_all_readers() -> None:
    for locale in LOCALES:
        made = [render_mail(make(), config=config()) for label, make in REPORTS.items() if label.endswith(locale)]
        assert len(made) > 4
        assert len({(mail.subject, mail.preheader) for mail in made}) == 1


def test_the_list_of_mails_shows_nothing_of_the_reader() -> None:
    """What programs show beside the subject is the begin of the page or of the text: some 140 signs."""
    report = samples.rich("en")
    got = receive(message_of(report))
    body = re.sub(r"<[^>]*>", "", got.html[got.html.index("<body") :])
    assert len(unescape(body).split("Made-up")[0].strip()) >= 180
    assert got.text.startswith(
        "What each suggestion rests on, in numbers, and what you can change.\n\nWhy you saw these products\n"
    )


def test_neither_id_nor_address_nor_key_stands_where_others_see_it() -> None:
    message = message_of(build_report(random_explanation(3), config=config(), reader=Reader("zqpseudonym", "Ann")))
    got = receive(message)
    everything = got.raw.decode("ascii") + got.text + got.html
    assert USER not in everything
    heads = "\n".join(f"{name}: {value}" for name, value in got.message.items() if name != "To")
    assert "zqpseudonym" not in heads + "".join(got.links)
    assert TO not in heads + got.text + got.html


@pytest.mark.parametrize("mode", ["fold", "exclude"])
def test_what_may_not_be_named_is_in_no_part(mode: str) -> None:
    titles = ["Plain lamp", "zqsentinel one", "Plain box", "zqsentinel two", "Jar"]
    why = random_explanation(5, 3, 5, hidden=[1, 3], titles=titles)
    settings = samples.config(mail=mails.MAIL, privacy={"sensitive": mode})
    made = render_mail(build_report(why, config=settings), "png", settings)
    got = receive(mails.message_of(build_report(why, config=settings), settings, figures="png"))
    crm = render_crm(render_mail(build_report(why, config=settings), config=settings), settings)
    everything = [got.raw.decode("ascii"), got.text, got.html, made.subject, crm.html, crm.text, crm.meta]
    assert not any("zqsentinel" in part for part in everything)
    shown = receive(message_of(build_report(random_explanation(5, 3, 5, titles=titles), config=settings), settings))
    assert "zqsentinel" in shown.text  # control
    assert "zqsentinel" in shown.html


def test_tokens_are_the_users_own_and_say_nothing() -> None:
    one, other = (unsubscribe_token(b"k" * 32, user) for user in ("ann", "bob"))
    assert re.fullmatch(r"[a-z2-7]{32}", one)
    assert len({one, other, unsubscribe_token(b"l" * 32, "ann"), unsubscribe_token(b"k" * 32, "\ud800")}) == 4
    assert one == unsubscribe_token(b"k" * 32, "ann")


# -- pictures, looks, templates -------------------------------------------------------------------------------------


def test_pictures_travel_with_the_page() -> None:
    got = receive(message_of(samples.rich("en"), figures="png"))
    assert [part.get_content_type() for part in got.parts] == ["image/png"] * 3
    assert all(part.get_content()[:8] == b"\x89PNG\r\n\x1a\n" for part in got.parts)
    alts = re.findall(r'<img[^>]*alt="([^"]*)"', got.html)
    assert len(alts) == 3
    assert "Label maker 1 22%" in alts[0]
    with pytest.raises(ConfigError, match="figures 'svg' are not available in a mail; use one of cells, png"):
        render_mail(samples.rich("en"), "svg")


def test_a_logo_is_a_part_and_a_drawn_one_is_words(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (20, 10), "#a03020").save(tmp_path / "logo.png")
    (tmp_path / "logo.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>'
    )
    for file, parts in (("logo.png", 1), ("logo.svg", 0)):
        look = {"logo": str(tmp_path / file), "logo_alt": "Zq Shop", "accent": "#a03020", "font": '"Open Sans", Arial'}
        settings = samples.config(mail=mails.MAIL, look=look)
        got = receive(message_of(build_report(random_explanation(1), config=settings), settings))
        assert len(got.parts) == parts
        assert "Zq Shop" in got.html
        assert "color: #a03020" in got.html
        assert "font-family: 'Open Sans', -apple-system" in got.html


def test_a_template_of_ones_own_changes_the_mail(tmp_path: Path) -> None:
    report = samples.history(3, "en")
    own = '{% extends "built-in/mail.html" %}{% block chart %}{% endblock %}'
    (tmp_path / "mail.html").write_text(own)
    made = render_mail(report, config=config(), templates=tmp_path)
    assert "Across the list" not in made.html
    assert "Across the list" in render_mail(report, config=config()).html


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("{% block choices %}{% endblock %}", "no link to stop the mails"),
        ('{% block foot %}<svg viewBox="0 0 1 1"></svg>{% endblock %}', "holds <svg>"),
        ('{% block foot %}<img alt="" src="https://x.test/pixel">{% endblock %}', "reach|fetches"),
        ('{% block foot %}<img alt="" src="data:image/svg+xml,%3Csvg%3E">{% endblock %}', "no png, jpg or gif"),
        ("{% block foot %}" + "<p>x</p>" * 12_000 + "{% endblock %}", "at most 90000"),
        ("{% block foot %}{{ nothing.here }}{% endblock %}", "line 1"),
    ],
)  # fmt: skip
def test_what_no_mail_may_hold_is_refused(block: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mail.html").write_text('{% extends "built-in/mail.html" %}' + block)
    with pytest.raises(RenderError, match=said):
        render_mail(samples.history(3, "en"), config=config(), templates=tmp_path)


def test_every_cell_has_its_own_paper() -> None:
    html = re.sub(r"<!--.*?-->", "", render_mail(samples.rich("en"), config=config()).html)
    cells = re.findall(r"<t[dh]\b[^>]*>", html)
    assert len(cells) > 60
    for cell in cells:
        assert re.search(r'bgcolor="#[0-9a-f]{6}"', cell), cell
        assert "background-color: #" in cell, cell
        assert re.search(r"[ \";]color: #[0-9a-f]{6}", cell), cell
    tables = re.findall(r"<table\b[^>]*>", html)
    assert sum('role="presentation"' not in table for table in tables) == 1  # the heatmap is data


# -- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", LOCALES)
def test_lines_of_the_text_are_short(locale: str) -> None:
    text = receive(message_of(samples.rich(locale))).text
    assert max(columns(line) for line in text.splitlines() if "://" not in line) <= WIDTH
    assert not re.search(r"^[、。，：；”）]|[“（]$", text, re.MULTILINE)


def test_wrapping_keeps_every_sign() -> None:
    text = "因为您买过“玻璃罐”（38%）：选过它的顾客，也选过 these jars, 20 l, " * 6
    assert "".join(wrapped(text, 30).split()) == "".join(text.split())
    assert max(map(columns, wrapped(text, 30).splitlines())) <= 31  # a closing sign may hang by one
    assert wrapped("x" * 100) == "x" * 100


def test_isolates_stay_only_where_they_do_something() -> None:
    assert plain(f"For {name('Ann')}, {name('收纳盒')}") == "For Ann, 收纳盒"
    assert plain(name(samples.ARABIC)) == name(samples.ARABIC)


# -- mail services --------------------------------------------------------------------------------------------------


def test_files_for_a_mail_service_have_one_field() -> None:
    mail = render_mail(samples.rich("en"), config=config())
    crm = render_crm(mail, config())
    assert 'href="{{unsubscribe_url}}"' in crm.html
    assert crm.html.count("{{") == crm.text.count("{{") == 1
    meta = json.loads(crm.meta)
    assert (meta["subject"], meta["locale"], meta["products"]) == ("Why you saw these products", "en", 3)
    assert meta["merge_fields"] == {"unsubscribe": "{{unsubscribe_url}}"}
    assert TOKEN not in crm.html + crm.text + crm.meta
    own = render_crm(mail, config(merge_unsubscribe="*|UNSUB|*"))
    assert 'href="*|UNSUB|*"' in own.html


@pytest.mark.parametrize(
    "field",
    [
        "{{contact.email}}",
        "{% if 1 %}",
        "*|EMAIL|*",
        "%%emailaddr%%",
        "[[first]]",
        "<%= name %>",
        "${x}",
        "#{x}",
        "{{{raw}}}",
    ],
)
def test_a_title_is_never_a_merge_field(field: str) -> None:
    report = build_report(random_explanation(2, 2, 2, titles=[field, "B"], picks=[field, "Q"]), config=config())
    crm = render_crm(
        render_mail(report, config=config(merge_unsubscribe="https://x.test/u")),
        config(merge_unsubscribe="https://x.test/u"),
    )
    assert field not in crm.text
    body = crm.html[crm.html.index("<body") :]
    assert field not in body
    assert field in unescape(body) or field.startswith("<")  # still read as it is by the one who reads it
    assert field in defused(field.replace("<", "< "), False) or field not in defused(field, False)


@pytest.mark.parametrize("merge", ["", '" onclick="x', "a b", "</a>", "x\ny", "{{a}} {{b}}"])
def test_a_merge_field_that_breaks_a_link_is_refused(merge: str) -> None:
    with pytest.raises(ConfigError, match="merge_unsubscribe cannot stand in a link"):
        render_crm(render_mail(samples.bare(), config=config()), config(merge_unsubscribe=merge))


def test_a_mail_service_needs_no_sender_but_an_address_by_letter() -> None:
    settings = Config.from_dict({"operator": samples.OPERATOR})
    assert render_crm(render_mail(samples.bare(), config=settings), settings).text
    mail, drawn = render_mail(samples.bare()), render_mail(samples.rich("en"), "png")
    nowhere = Config.from_dict({"operator": samples.OPERATOR | {"address": ""}})
    with pytest.raises(ConfigError, match="postal_address"):
        render_crm(mail, nowhere)
    with pytest.raises(ConfigError, match="no pictures"):
        render_crm(drawn, config())


# -- the same bytes -------------------------------------------------------------------------------------------------


def digest() -> str:
    parts = [write_eml(message_of(report, figures=figures)) for report, figures in _for_bytes()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _for_bytes() -> list[tuple[Report, str]]:
    return [(samples.rich("en"), "png"), (samples.rich("zh-CN"), "cells"), (samples.hostile(), "cells")]


def test_the_same_bytes_in_every_process() -> None:
    here = str(Path(__file__).parent)
    code = f"import sys; sys.path[:0] = [{here!r}]; import test_mail; print(test_mail.digest())"
    settings = ({"PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland"}, {"PYTHONHASHSEED": "77", "TZ": "America/New_York"})
    runs = [
        subprocess.run([sys.executable, "-c", code], env=os.environ | s, capture_output=True, text=True, check=True)
        for s in settings
    ]
    assert {run.stdout.strip() for run in runs} == {digest()}


def test_reader_run_and_language_make_the_message_id() -> None:
    def ids(locale: str, key: str, run: str) -> str:
        report = build_report(random_explanation(1), locale, config=config(), reader=Reader(key))
        made = render_mail(report, config=config())
        return mails.build_message(made, TO, config(), TOKEN, mails.DATE, run=run)["Message-ID"]

    usual_id = ids("en", "k", "r")
    assert re.fullmatch(r"<[0-9a-f]{32}@shop\.test>", usual_id)
    assert usual_id == ids("en", "k", "r")
    assert len({usual_id, ids("zh-CN", "k", "r"), ids("en", "l", "r"), ids("en", "k", "s")}) == 4


@pytest.mark.slow
def test_the_benchmark_runs(repository: Path) -> None:
    command = [sys.executable, str(repository / "benchmarks" / "mail.py"), "--quick"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    assert found["benchmark"] == "mail"
    assert found["figures"]["build/per_second"] > 0
    assert ("premailer" in found["conditions"]) == ("premailer/per_second" in found["figures"])
