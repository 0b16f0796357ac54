"""Two made-up languages: a long accented one shows what does not come from the locale, one from right to left what is not set apart.

The first has no plain Latin letter: Babel writes its dates and lists in Greek, the data are Greek too, so that every Latin
letter on a page is a text that somebody wrote into a template or into code.
"""

from __future__ import annotations

import re
import subprocess
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
import samples
from crafted import Node, craft, read_page

from reportgen.config import Config
from reportgen.explain.explanation import Counterfactual, Explanation
from reportgen.explain.fidelity import Trust
from reportgen.report import words as language
from reportgen.report.build import Reader, build_report
from reportgen.report.document import Report
from reportgen.report.html import render_html, render_paged
from reportgen.report.pdf import render_pdf
from reportgen.report.words import END_ISOLATE, ISOLATE, Words, add_language, read_messages

ENGLISH = read_messages((files("reportgen.report") / "locales" / "en.toml").read_text("utf-8"))
GAP = re.compile(r"(\{\w+\})")
ACCENTED = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "áƀçđéƒğĥíĵķłɱñóƥɋřšţúṽŵẋýžÁƁÇĐÉƑĞĤÍĴĶŁṂÑÓƤɊŘŠŢÚṼŴẊÝŽ"
)
ARABIC = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ابتثجحخدذرزسشصضطظعغفقكلمنه")
OPEN, CLOSE = "[", "]"
#: Keys that hold how texts are put together, and no text.
FORMS = ("page.sentences", "page.quoted")
#: Sentences of other pages than a person's report.
OTHER_PAGES = ("index.", "figure.", "audit.", "foreign.", "given.", "mail.", "evaluation.", "preview.")
PLURAL = ("zero", "one", "two", "few", "many", "other")
LATIN = re.compile(r"[A-Za-z]+")
SETTINGS = Config.from_dict(
    {
        "operator": {
            "name": "ΚΑΤΑΣΤΗΜΑ", "purpose": "ΣΚΟΠΟΣ", "retention": "ΧΡΟΝΟΣ", "contact": "ΕΠΑΦΗ", "address": "ΟΔΟΣ",
            "links": dict.fromkeys(("change", "object", "switch_off", "non_personalised", "complaint"), "https://shop.test/1"),
        },
        "features": {"shape": {"kind": "category", "label": {"en": "ΣΧΗΜΑ"}}},
        "look": {"footer": "ΤΕΛΟΣ"},
    }
)  # fmt: skip
TRUST = Trust(n_users=40, n_list=5, top=3, lost=0.61, lost_random=0.22, strong=0.4, weak=0.9)
READER = Reader("234567234567", "ΟΝΟΜΑ")
HEADS = ("together", "next", "via", "again", "category", "brand", "price", "tags", "title", "shape")


def accented(text: str) -> str:
    """Other letters, two fifths longer, in brackets; gaps stay."""
    parts = [part if GAP.fullmatch(part) else part.translate(ACCENTED) for part in GAP.split(text)]
    return f"{OPEN}{''.join(parts)}{' ŵóřđš' * -(-len(text) * 2 // 5 // 6)}{CLOSE}"


def arabic(text: str) -> str:
    return "".join(part if GAP.fullmatch(part) else part.lower().translate(ARABIC) for part in GAP.split(text))


def make_words(tag: str, babel: str, change: Callable[[str], str]) -> Words:
    return Words(tag, {key: text if key in FORMS else change(text) for key, text in ENGLISH.items()}, babel)


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_ADDED", {})
    add_language(make_words("en-XA", "el", accented))
    add_language(make_words("ar", "ar", arabic))


def everything(titles: str = "ΠΡΑΓΜΑ", picks: str = "ΠΡΟΪΟΝ") -> Explanation:
    """Six products that between them need nearly every sentence."""
    j, f = 12, len(HEADS)
    parts = np.zeros((6, j, f))
    for head in range(f):
        parts[0, head % j, head] = 1.0 + head / 10
    parts[1, 0, 0], parts[1, 1, 1], parts[1, 2, 5] = 0.6, 0.5, -0.4
    parts[2, 3, 3], parts[2, 4, 9], parts[2, 5, 2] = 0.9, 0.8, 0.1
    parts[3, :, 4] = 0.1
    parts[4, 6, 6] = 0.7
    parts[5, 7, 7], parts[5, 8, 8] = -2.0, -1.0
    details = [
        {"sponsored": True, "price_personalised": True, "brand": "ΜΑΡΚΑ", "category": "ΕΙΔΟΣ", "price": 12.5, "currency": "EUR"},
        {"price": 3.0},
        *[{}] * 4,
    ]  # fmt: skip
    kinds = ["purchase", "view", "cart", "rating", "return", "hide", "other", *["purchase"] * 5]
    why = craft(
        parts, titles=[f"{titles} {n}" for n in range(j)], picks=[f"{picks} {n}" for n in range(6)], kinds=kinds, heads=HEADS,
        times=[2] + [1] * 11, hidden=[6], details=details, popularity=[40, 40, 40, 3, 40, 40], capped=4, excluded=1, after=2,
    )  # fmt: skip
    ids = why.picks.item_id.copy()
    ids[2] = why.past.item_id[3]
    found = (
        Counterfactual((9,), "proven", 1, 9, 5), Counterfactual((0, 1), "proven", 2, 9, 5), Counterfactual((), "proven", 3, 3, 5),
        Counterfactual((), "best found", 4, 4, 5), None, None,
    )  # fmt: skip
    model = replace(why.model, live=tuple(range(f - 1)) if not parts[:, :, f - 1].any() else why.model.live)
    return replace(why, picks=replace(why.picks, item_id=ids), counterfactuals=found, model=model)


def every_kind() -> Explanation:
    """For each kind of evidence a product with one reason and one with two, by every kind of event; unlike models are told too."""
    events = ("purchase", "view", "cart", "rating", "wishlist")
    heads = [head for head in HEADS if head != "again"]
    parts = np.zeros((2 * len(heads) + len(events), 2 * len(events), len(HEADS)))
    for k, head in enumerate(heads):
        at, event = HEADS.index(head), 2 * (k % len(events))
        parts[2 * k, event, at] = 1.0
        parts[2 * k + 1, [event, event + 1], at] = 0.6, 0.4
    for n in range(len(events)):
        parts[2 * len(heads) + n, 2 * n, HEADS.index("again")] = 1.0
    kinds = [kind for kind in events for _ in range(2)]
    why = craft(parts, titles=["Α"] * len(kinds), picks=["Β"] * len(parts), kinds=kinds, heads=HEADS, support=1)
    ids = why.picks.item_id.copy()
    ids[2 * len(heads) :] = why.past.item_id[::2]
    model = replace(why.model, fades=False, n_learnt=0, live=tuple(range(len(HEADS) - 1)))
    return replace(why, picks=replace(why.picks, item_id=ids), model=model, support=np.ones_like(why.support))


def reports(locale: str) -> list[Report]:
    """Pages of every kind: full, without a history, with one that counts only against, with nothing to suggest."""
    full = build_report(everything(), locale, config=SETTINGS, reader=READER, synthetic=True, trust=TRUST)
    kinds = build_report(every_kind(), locale, config=SETTINGS)
    cold = build_report(
        craft(np.zeros((2, 0, 4)), popularity=[9, 2], picks=["Α", "Β"]), locale, reader=Reader("234567")
    )
    against = build_report(craft([[[-0.2, 0, 0, 0]]], kinds="return", titles=["Γ"], picks=["Δ"], popularity=0), locale)
    silent = build_report(
        craft([[[0.2, -0.2, 0, 0]]], kinds="hide", titles=["Γ"], picks=["Δ"], popularity=0, base=[0.0]), locale
    )
    spread = build_report(craft([[[0.1, 0.1, 0, 0]] * 9], titles=["Γ"] * 9, picks=["Δ"], base=[9.0]), locale)
    folded = build_report(craft([[[0.1, 0, 0, 0]]], titles=["Γ"], picks=["Δ"], hidden=[0]), locale)
    nothing = build_report(craft(np.zeros((0, 1, 4)), titles=["Γ"]), locale)
    return [full, kinds, cold, against, silent, spread, folded, nothing]


def visible(html: str) -> Iterator[str]:
    """Everything that a reader sees or hears: text, the words of pictures and landmarks, and what style sheets write."""
    for node in read_page(html).root.walk():
        if node.tag == "style":
            yield from (_uncss(text) for text in re.findall(r'content: ?"((?:[^"\\]|\\.)*)"', node.text))
            continue
        yield from (part for part in node.inside if isinstance(part, str) and part.strip())
        yield from (text for name, text in node.attrs.items() if name in ("alt", "aria-label", "title") and text)


def _uncss(text: str) -> str:
    return re.sub(r"\\([0-9a-f]{1,6}) ?", lambda found: chr(int(found[1], 16)), text)


#: What stands on a page under a name of its own: the tool, the model, the hash of the record.
OWN = re.compile(r"reportgen|m{12}|[0-9a-f]{16}")


def foreign(html: str) -> list[str]:
    """Texts with Latin letters: neither from the language nor from the data."""
    return [text for text in visible(html) if LATIN.search(OWN.sub("", text))]


@pytest.mark.parametrize("paged", [False, True], ids=["screen", "paper"])
def test_every_text_of_a_page_comes_from_the_language_or_from_the_data(paged: bool) -> None:
    for report in reports("en-XA"):
        html = render_paged(report) if paged else render_html(report)
        assert foreign(html) == []
        assert [text for text in visible(html) if "{" in text or "}" in text] == []


@pytest.mark.parametrize(
    ("place", "written"),
    [
        ("</h1>", "<b>Why</b></h1>"),
        ("</main>", '<p aria-label="Section"></p></main>'),
        ("</main>", '<img alt="Figure"></main>'),
        ("</style>", '.a::before{content:"Sh\\61 re"}</style>'),
    ],
)
def test_a_text_in_a_template_would_be_found(place: str, written: str) -> None:
    html = render_html(reports("en-XA")[0])
    assert len(foreign(html.replace(place, written, 1))) == 1


#: On the page of an evaluation, besides: a formula, the names of settings, times, and reasons of the program, marked as English.
OWN_EVALUATION = re.compile(r"log2\(1 \+ r\)|neighbours|\bl2\b|as_of|[0-9T:-]+Z\b")


def test_every_text_of_an_evaluation_comes_from_the_language() -> None:
    for name, page in samples.evaluations(["en-XA"]):
        page = re.sub(r'<bdi lang="en">.*?</bdi>', "", page)
        assert [text for text in foreign(page) if LATIN.search(OWN.sub("", OWN_EVALUATION.sub("", text)))] == [], name
        assert [text for text in visible(page) if "{" in text or "}" in text] == []


def texts_of(report: Report) -> Iterator[str]:
    """The words of a report as they were told."""
    yield from (report.title, report.lead, *report.meta, *report.footer, *([report.banner] if report.banner else []))
    for item in report.items:
        yield from (item.title, *item.facts, item.sentence, *item.notices, *item.notes, item.ledger.caption)
        yield from (text for row in item.ledger.rows for text in (row.label, row.detail) if text)
    for section in report.sections:
        yield from (section.heading, *section.paragraphs, *(link.label for link in section.links))
        yield from (text for heat in section.heatmaps for text in (heat.caption, heat.note))


def squeezed(text: str) -> str:
    """Without spaces, breaks and marks that only order the text."""
    kept = (
        sign for sign in unicodedata.normalize("NFKC", text) if unicodedata.category(sign) not in ("Cf", "Cc", "Zs")
    )
    return "".join(kept).replace("-", "").replace("\u2010", "")


def test_nothing_is_cut_on_the_page_or_in_the_pdf(need_tool: Callable[[str, str], str]) -> None:
    program = need_tool("pdftotext", "apt-get install poppler-utils")
    for report in reports("en-XA")[:3:2]:
        html = render_html(report)
        shown = squeezed(read_page(html).root.text)
        assert [text for text in texts_of(report) if squeezed(text) not in shown] == []
        assert "text-overflow" not in html
        assert "line-clamp" not in html
        pdf = subprocess.run(
            [program, "-raw", "-", "-"], input=render_pdf(report), capture_output=True, check=True
        ).stdout
        printed = pdf.decode("utf-8")
        shown, words = squeezed(printed), {word for text in texts_of(report) for word in text.split()}
        assert [word for word in sorted(words) if squeezed(word) not in shown] == []
        assert printed.count(OPEN) == printed.count(CLOSE) >= sum(text.count(OPEN) for text in texts_of(report))


class Heard(Words):
    """A language that remembers what was said."""

    def __init__(self, *given: str, heard: set[str]) -> None:
        super().__init__(given[0], ENGLISH, given[1])
        self.heard = heard

    def say(self, key: str, n: int | None = None, /, **given: object) -> str:
        self.heard.add(key)
        return super().say(key, n, **given)


def test_nearly_every_sentence_was_on_these_pages() -> None:
    """Otherwise the tests above would say little."""
    heard: set[str] = set()
    add_language(Heard("en-XA", "el", heard=heard))
    for report in reports("en-XA"):
        render_html(report)
    wanted = {re.sub(rf"\.({'|'.join(PLURAL)})$", "", key) for key in ENGLISH if not key.startswith(OTHER_PAGES)} - {
        *FORMS
    }
    missing = wanted - heard - {key.rpartition(".")[0] for key in heard} - {"page.quoted"}
    assert len(missing) < len(wanted) * 0.1, sorted(missing)


# -- from right to left ---------------------------------------------------------------------------------------------


@pytest.fixture
def right_to_left() -> Report:
    why = everything("Past title", "Pick (new)")
    return build_report(why, "ar", config=SETTINGS, reader=READER, synthetic=True, trust=TRUST)


def alone(node: Node, wanted: str) -> Iterator[str]:
    """Elements whose own text holds `wanted`, and is no <bdi> around it alone."""
    for each in node.walk():
        held = [part for part in each.inside if isinstance(part, str) and wanted in part]
        if held and each.tag not in ("bdi", "style", "title") and "".join(held).strip() != wanted:
            yield f"<{each.tag}> {held}"


def test_a_language_from_right_to_left_turns_the_page(right_to_left: Report) -> None:
    html = render_html(right_to_left)
    assert '<html lang="ar" dir="rtl">' in html
    assert "ltr" not in re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)
    assert ISOLATE not in html
    assert END_ISOLATE not in html


@pytest.mark.parametrize(
    "foreign_text",
    ["Past title", "Pick (new)", "ΚΑΤΑΣΤΗΜΑ", "ΣΚΟΠΟΣ", "ΧΡΟΝΟΣ", "ΕΠΑΦΗ", "ΟΔΟΣ", "ΟΝΟΜΑ", "ΣΧΗΜΑ", "ΜΑΡΚΑ"],
)
def test_titles_names_and_the_operators_texts_are_set_apart(right_to_left: Report, foreign_text: str) -> None:
    page = read_page(render_html(right_to_left)).root
    assert foreign_text in page.text
    assert list(alone(page, foreign_text)) == []


def test_figures_keep_their_signs_from_right_to_left() -> None:
    arabic_words = language.words("ar")
    # without the mark before it, the minus would be drawn behind the number
    assert (arabic_words.number(-0.4, 2), arabic_words.number(0.4, 2)) == ("\u200e\u22120.40", "0.40")
    assert language.words("en").number(-0.4, 2) == "\u22120.40"
    assert language.words("en-XA").number(-0.4, 2) == "\u22120,40"
    assert arabic_words.plural_categories == {"zero", "one", "two", "few", "many", "other"}


def test_a_page_from_right_to_left_becomes_a_pdf(right_to_left: Report, pdf_log: list[str]) -> None:
    assert render_pdf(right_to_left).startswith(b"%PDF-")
    assert pdf_log == []


def test_a_language_of_ones_own_is_asked_for_by_its_tag() -> None:
    assert language.words("ar").locale == "ar"
    assert language.words("en").locale == "en"
    with pytest.raises(KeyError):
        Words("en-XB", {"page.title": "x"}, "en")  # a table without the forms that put texts together
