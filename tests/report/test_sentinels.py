"""What is hidden is looked for in every byte of a whole run: a unique word stands in each field of each hidden product.

The same search finds the same words where nothing is hidden; without that control it would prove nothing.
"""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pikepdf
import pytest

from reportgen.cli import main
from reportgen.data.shop import make_shop

pytestmark = pytest.mark.slow

Run = Callable[..., dict[str, str]]
#: A word for each field; the number of the item follows.
WORDS = {"item_id": "zqid", "title": "zqtitle", "brand": "zqbrand", "description": "zqabout"}
DATA = re.compile(r'data:image/(\w+)[^,"]*;base64,([A-Za-z0-9+/=]+)')
USERS = 4


def read_pdf(raw: bytes, pdftotext: str) -> str:
    """Everything in a PDF: text as it is read, every stream unpacked, every string, attachments and metadata."""
    parts = [subprocess.run([pdftotext, "-", "-"], input=raw, capture_output=True, check=True).stdout.decode()]
    with pikepdf.open(io.BytesIO(raw)) as pdf:
        for thing in pdf.objects:
            if isinstance(thing, pikepdf.Stream):
                parts.append(thing.read_bytes().decode("latin-1"))
        parts += [attached.get_file().read_bytes().decode("utf-8", "replace") for attached in pdf.attachments.values()]
        pdf.save(plain := io.BytesIO(), compress_streams=False, object_stream_mode=pikepdf.ObjectStreamMode.disable)
        for thing in pdf.objects:
            parts += texts(thing)
    return "\n".join([*parts, plain.getvalue().decode("latin-1")])


def texts(thing: pikepdf.Object, depth: int = 0) -> Iterator[str]:
    """The strings in an object, decoded: a title in a PDF may be UTF-16."""
    if isinstance(thing, pikepdf.String):
        yield str(thing)
    elif depth < 4 and isinstance(thing, pikepdf.Dictionary | pikepdf.Stream):
        for key in thing.keys():  # noqa: SIM118 - a stream has no iteration over its keys
            yield from texts(thing[key], depth + 1)
    elif depth < 4 and isinstance(thing, pikepdf.Array):
        for part in thing:
            yield from texts(part, depth + 1)


def read_all(out: Path, pdftotext: str) -> dict[str, str]:
    """Every file of a run as text in which a word can be found, with the pictures inside pages unpacked."""
    found = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        if path.suffix == ".pdf":
            text = read_pdf(raw, pdftotext)
        elif path.suffix == ".bin":  # hashes and salts, which are no text
            text = raw.decode("latin-1")
        else:
            text = raw.decode("utf-8")
            pictures = [base64.b64decode(code).decode("utf-8", "replace") for _, code in DATA.findall(text)]
            text = "\n".join([text, unescape(text), unquote(text), *pictures])
            if path.suffix == ".json":
                text += json.dumps(json.loads(raw), ensure_ascii=False)
        found[path.relative_to(out).as_posix()] = text
    return found


@pytest.fixture(scope="module")
def shop() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The synthetic shop; its sensitive products carry the words, and each chosen user has some of them."""
    made = make_shop(90, 72, random_state=4)
    items, events = made.items.copy(), made.events.copy()
    mask = items["sensitive"].to_numpy(dtype=bool)
    new = {old: f"{WORDS['item_id']}{n}" for n, old in enumerate(items["item_id"][mask])}
    for name in ("title", "brand", "description"):
        items.loc[mask, name] = [f"{WORDS[name]}{n} 绝密词" for n in range(mask.sum())]
    items["item_id"] = items["item_id"].map(lambda old: new.get(old, old))
    events["item_id"] = events["item_id"].map(lambda old: new.get(old, old))
    items["tags"] = [",".join(tags) for tags in items["tags"]]
    return events, items, made.users


@pytest.fixture(scope="module")
def chosen(shop: tuple[pd.DataFrame, ...]) -> list[str]:
    """Users with most sensitive events, English and Chinese."""
    events, _, users = shop
    events = events[~events["user_id"].isin(users["user_id"][users["opted_out"]])]
    count = events[events["item_id"].str.startswith("zqid")].groupby("user_id").size().sort_values(kind="stable")
    chinese = [user for user in count.index if user in set(users["user_id"][users["locale"] == "zh-CN"])]
    return list(dict.fromkeys([chinese[-1], *reversed(list(count.index))]))[:USERS]


@pytest.fixture(scope="module")
def run(
    shop: tuple[pd.DataFrame, ...], chosen: list[str], tmp_path_factory: pytest.TempPathFactory,
    need_tool: Callable[[str, str], str],
) -> Run:  # fmt: skip
    """Make a run by the command line with all formats and pictures, and read everything it wrote and said."""
    pdftotext = need_tool("pdftotext", "apt-get install poppler-utils")

    def make(
        settings: str,
        capsys: pytest.CaptureFixture[str],
        events: pd.DataFrame,
        items: pd.DataFrame,
        formats: str = "html,pdf,json",
    ) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("run")
        for name, frame in (("events", events), ("items", items), ("users", shop[2])):
            frame.to_csv(folder / f"{name}.csv", index=False)
        (folder / "reportgen.toml").write_text(settings + "\n[report]\nreasons = 30\n", encoding="utf-8")
        (folder / "key").write_bytes(b"0123456789abcdef0123456789abcdef")
        words = [word for name in ("events", "items", "users") for word in (f"--{name}", str(folder / f"{name}.csv"))]
        words += ["--config", str(folder / "reportgen.toml"), "--key-file", str(folder / "key")]
        words += [word for user in chosen for word in ("--user", user)]
        words += ["--out", str(folder / "out"), "--format", formats, "--figures", "svg", "--pdf-limit", "1"]
        assert main(["build", *words, "--log-format", "json"]) == 0
        said = capsys.readouterr()
        found = read_all(folder / "out", pdftotext)
        assert sum(name.endswith(".pdf") for name in found) == formats.count("pdf")
        return found | {"stdout": said.out, "stderr": said.err, "names": "\n".join(found)}

    return make


def hits(found: dict[str, str], word: str) -> dict[str, int]:
    return {
        name: len(re.findall(word, text, re.IGNORECASE)) for name, text in found.items() if re.search(word, text, re.I)
    }


@pytest.mark.parametrize("mode", ["fold", "exclude"])
def test_what_the_catalogue_marks_is_nowhere(
    mode: str, run: Run, shop: tuple[pd.DataFrame, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(f'[privacy]\nsensitive = "{mode}"', capsys, shop[0], shop[1])
    for word in (*WORDS.values(), "绝密词"):
        assert hits(found, word) == {}
    pages = [text for name, text in found.items() if name.endswith(".html") and name.startswith("reports")]
    assert len(pages) == USERS
    marks = {"fold": "not named here|不在此写出名称", "exclude": "(was|were) left out of the|没有参与计算"}
    assert all(re.search(marks[mode], text) for text in pages)


def test_the_control_finds_every_word_in_every_format(
    run: Run, shop: tuple[pd.DataFrame, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    found = run('[privacy]\nsensitive = "show"', capsys, shop[0], shop[1])
    for end in (".html", ".pdf", ".json"):
        reports = {name: text for name, text in found.items() if name.startswith("reports") and name.endswith(end)}
        assert len(hits(reports, WORDS["title"])) == len(reports) > 0
    assert any(hits({name: text}, WORDS["item_id"]) for name, text in found.items() if name.endswith(".json"))
    assert "<svg" in next(text for name, text in found.items() if name.endswith(".html") and "reports" in name)


RULES = {
    "category": 'category = [" zqshelf 健康"]',
    "title in English": 'title_pattern = "zqtitle\\\\d"',
    "title in Chinese": 'title_pattern = "绝密词|孕"',
}


@pytest.mark.parametrize("rule", list(RULES))
def test_what_a_rule_names_is_nowhere(
    rule: str, run: Run, shop: tuple[pd.DataFrame, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    items = shop[1].copy()
    mask = items["sensitive"].to_numpy(dtype=bool)
    items["sensitive"] = False
    items.loc[mask, "category"] = "ZQSHELF　健康"  # with a full-width space
    found = run(f"[privacy.rules]\n{RULES[rule]}", capsys, shop[0], items, "html,json")
    for name in ("manifest.json", "run_plan.json", "audit/statement.json"):
        found.pop(name)  # they hold the settings, and so the rule itself
    for word in (*WORDS.values(), "绝密词", "zqshelf"):
        assert hits(found, word) == {}


def test_a_gift_is_nowhere_in_the_files_of_its_giver(
    run: Run, shop: tuple[pd.DataFrame, ...], chosen: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    events, items = shop[0].copy(), shop[1].assign(sensitive=False)
    items["title"] = [f"zqgift{n}x" if n % 2 else title for n, title in enumerate(items["title"])]
    code = dict(zip(items["item_id"], items["title"], strict=True))
    gift = events["item_id"].map(code).str.startswith("zqgift") & (events["user_id"] == chosen[0])
    events["source"] = np.where(gift & (events["event_type"] == "purchase"), "gift", "web")
    given = {code[item] for item in events["item_id"][events["source"] == "gift"]}
    assert given
    found = run('[privacy.rules]\nsource = ["gift"]', capsys, events, items, "html,json")
    report = {name: text for name, text in found.items() if name.startswith("reports")}
    files = {name.rpartition(".")[0] for name in report}
    clear = {
        stem
        for stem in files
        if not any(hits({n: t for n, t in report.items() if n.startswith(stem)}, title) for title in given)
    }
    assert len(clear) == 1  # others were shown these products or took them for themselves
    assert "we do not show" in report[clear.pop() + ".html"] or "不显示" in "".join(report.values())
