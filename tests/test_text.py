"""``clean()``: what comes out can be shown, whatever went in."""

from __future__ import annotations

import json
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from reportgen.text import REPLACEMENT, clean

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
KISS = "\U0001f9d1\U0001f3fd\u200d\u2764\ufe0f\u200d\U0001f48b\u200d\U0001f9d1\U0001f3fd"  # ten code points, one sign
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
FORBIDDEN = set("\u061c\u200b\u200e\u200f\u00ad\ufeff\u180e\n\r\t\x0b\x0c\u2028\u2029\u0085\xa0") | {
    chr(code)
    for start, stop in ((0x202A, 0x202E), (0x2060, 0x206F), (0xFDD0, 0xFDEF))
    for code in range(start, stop + 1)
}

KNOWN = {
    # bad_inputs.json, text-01 to text-14
    "a\x00b": "a\ufffdb",
    "a\x0b\x0c\x1bb": "a \ufffdb",
    "\x1b[31mred\x1b]0;x\x07": "\ufffd[31mred\ufffd]0;x\ufffd",
    "x\r\nERROR forged log line": "x ERROR forged log line",
    "bad\udcff": "bad\ufffd",
    "\u202egpj.exe": "gpj.exe",
    "\u2066\u2069\u200f\u061c": "",
    "a\u200bb\ufeffc": "abc",
    "\ufffe\uffff": "\ufffd\ufffd",
    "\u2028x\u2029": "x",
    f"日本語 العربية עברית हिन्दी \U0001f600{FAMILY}": f"日本語 العربية עברית हिन्दी \U0001f600{FAMILY}",
    "Pay $5 or $\\frac{1}{0}$": "Pay $5 or $\\frac{1}{0}$",
    "_private": "_private",
    # and more
    "": "",
    "   ": "",
    "  two  spaces ": "two spaces",
    "a\xa0\u3000 b": "a b",
    "a \u200b b": "a b",
    "<b>&amp;": "<b>&amp;",
    KISS: KISS,
    ENGLAND: ENGLAND,
    "\ue000\U0010fffe\U0003ffff": "\ufffd" * 3,
    "می\u200cخواهم": "می\u200cخواهم",
    "e" + "\u0301" * 100: "e" + "\u0301" * 7,
    "\u202e" * 5000 + "Title": "Title",
    " " * 5000 + "Title": "Title",
    "e" + "\u0301" * 5000 + " and more": "e" + "\u0301" * 7 + " and more",
}


def graphemes(text: str) -> int:
    return len(regex.findall(r"\X", text))


def check(text: str, limit: int = 120) -> str:
    """What holds for every input."""
    shown = clean(text, limit)
    assert not FORBIDDEN & set(shown)
    assert all(unicodedata.category(sign) not in ("Cc", "Cs", "Co") for sign in shown)
    assert not any(ord(sign) & 0xFFFE == 0xFFFE for sign in shown)
    assert shown == shown.strip()
    assert "  " not in shown
    assert graphemes(shown) <= limit + 1
    assert len(shown) <= 32 * (limit + 1)
    assert clean(shown, limit) == shown
    shown.encode("utf-8")
    return shown


@pytest.mark.parametrize("text", KNOWN)
def test_known_answers(text: str) -> None:
    assert check(text) == KNOWN[text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 120, "x" * 120),
        ("x" * 121, "x" * 120 + "…"),
        ("e\u0301" * 120, "e\u0301" * 120),
        ("e\u0301" * 20_000, "e\u0301" * 120 + "…"),
        ("\u202ea\u202d" * 10_000, "a" * 120 + "…"),
        (FAMILY * 121, FAMILY * 120 + "…"),
        ("word " * 40, ("word " * 24)[:-1] + "…"),
        ("a" * 110 + ", " + "b" * 50, "a" * 110 + "…"),
        ("a " + "b" * 200, "a " + "b" * 118 + "…"),
    ],
)
def test_long_texts_are_cut_at_a_word_or_a_sign(text: str, shown: str) -> None:
    assert check(text) == shown


def test_a_shorter_limit() -> None:
    assert clean("one two three four", 10) == "one two…"
    assert clean("one two three four", 18) == "one two three four"


ODD = [" ", "\u0301", "\u200d", "\ufe0f", "\U0001f468", "\U0001f1e9", "ᄀ", "ᅡ", "ᆨ", "\u0600", *sorted(FORBIDDEN)]
signs = st.text(st.one_of(st.characters(), st.sampled_from(ODD)), max_size=80)


@settings(max_examples=400)
@given(text=signs, limit=st.integers(1, 40))
def test_any_text_becomes_safe_and_stays_as_it_is(text: str, limit: int) -> None:
    shown = check(text, limit)
    if graphemes(text) <= limit and text.isascii() and text.isprintable():
        assert shown == " ".join(text.split())


@given(text=st.text(st.sampled_from("abc éß日本"), max_size=60))
def test_plain_words_are_left_alone(text: str) -> None:
    assert clean(text) == " ".join(text.split())


@pytest.mark.parametrize(
    "unit", ["x", "\u202e", "\n", "\x00", "\u0301", "e\u0301", "\u200d", FAMILY, "\U0001f1e9", "a "]
)
def test_two_million_characters_are_quick(unit: str) -> None:
    text = (unit * 2_000_000)[:2_000_000]
    start = time.process_time()
    shown = clean(text)
    assert time.process_time() - start < 3.0
    assert len(shown) <= 32 * 121


def test_the_shared_bad_inputs(shared_data: Path) -> None:
    """Every title of the collection of bad inputs; a copy of those that matter stands above."""
    path = shared_data.parent / "bad_inputs.json"
    if not path.exists():
        pytest.skip("no bad_inputs.json beside the shared data")
    cases = {case["id"]: case for case in json.loads(path.read_text(encoding="utf-8"))}
    found = {name: value_of(case) for name, case in cases.items() if name.startswith(("text-", "long-"))}
    assert len(found) >= 18
    for name, text in found.items():
        shown = check(text)
        if name.startswith("long-"):
            assert shown.endswith("…"), name
            assert graphemes(shown) == 121, name
        assert (REPLACEMENT in shown) == any(cannot_be_shown(sign) for sign in text), name


def cannot_be_shown(sign: str) -> bool:
    return (unicodedata.category(sign) in ("Cs", "Cc") and not sign.isspace()) or sign in ("\ufffe", "\uffff")


def value_of(case: dict[str, Any]) -> str:
    value = case["value"]
    return value if isinstance(value, str) else value["s"] * value["n"]
