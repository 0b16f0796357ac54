"""Every page of an answer pack before the outside judges: Chromium with axe-core, the Nu Html Checker and html-validate.

The judges themselves are tested with planted faults in `tests/report/test_validators_pages.py`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from drivers import VIEWS, Finding, Visit
from sealed import SECRET, call

from reportgen.audit.answer import make_answer
from reportgen.audit.answer_person import OPTED_OUT, SET_ASIDE, Person
from reportgen.audit.lawpacks import controls, facts_of_run
from reportgen.audit.place import read_manifest
from reportgen.data.shop import make_shop
from reportgen.languages import LOCALES

pytestmark = pytest.mark.validator

#: The length of a bar in the report is a number that the code formats; the page has no script and no other way to say it.
ON_PURPOSE = {"no-inline-style"}
HOSTILE = '</style><script>alert(1)</script> "&<b>' + "unbroken" * 40
CONFIG = """
[operator]
name = "<i>Shop & Sons</i>"
contact = "who@example.org"
[look]
accent = "#7a1f3d"
paper = "Letter"
[audit.not_applicable]
"us-nist-ai-rmf" = "<u>not</u> followed here"
"""

Pages = dict[str, Path]


def pages_of(pack: bytes, folder: Path, name: str) -> Pages:
    """The pages of a pack as files."""
    folder = folder / name
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        archive.extractall(folder)
    return {f"{name} {path.name}": path for path in sorted(folder.rglob("*.html"))}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Packs of somebody with a report, with tables and without, and of people who have none; in every language."""
    folder, shop = tmp_path_factory.mktemp("answers"), make_shop(24)
    for name in ("events", "items", "users"):
        getattr(shop, name).to_csv(folder / f"{name}.csv", index=False)
    (folder / "reportgen.toml").write_text(CONFIG)
    tables = [word for name in ("events", "items", "users") for word in (f"--{name}", str(folder / f"{name}.csv"))]
    tables += ["--config", str(folder / "reportgen.toml")]
    run, found = folder / "run", {}
    user = str(pd.read_csv(folder / "users.csv", dtype=str)["user_id"][0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPORTGEN_KEY", SECRET)
        assert call("build", *tables, "--user", user, "--out", run, "--quiet") == 0
        for locale in LOCALES:
            for kind, given in (("whole", tables), ("bare", [])):
                out = folder / f"{locale}-{kind}.zip"
                assert call("answer", run, user, *given, "--locale", locale, "--out", out, "--quiet") == 0
                found |= pages_of(out.read_bytes(), folder, f"{locale} {kind}")
    asked = controls(facts_of_run(run), person=True)
    for locale in LOCALES:
        for status in (SET_ASIDE, OPTED_OUT):
            person = Person("k" * 24, status, locale, read_manifest(run), HOSTILE, controls=asked)
            found |= pages_of(make_answer(person), folder, f"{locale} {status}")
    return found


def test_every_page_is_judged(pages: Pages) -> None:
    assert len([name for name in pages if name.endswith("README.html")]) == 4 * len(LOCALES)
    assert len([name for name in pages if name.endswith("report.html")]) == 2 * len(LOCALES)
    page = pages["en set_aside README.html"].read_text("utf-8")
    assert "alert(1)" in page
    assert "<script" not in page
    assert "--accent-light:#7a1f3d" in page


def test_axe_finds_nothing_and_pages_fit(pages: Pages, browser: Callable[..., dict[str, dict[object, Visit]]]) -> None:
    for name, visits in browser(pages).items():
        assert set(visits) == set(VIEWS)
        for view, visit in visits.items():
            told = [f"{f['rule']}: {f['html']} ({f['reason']})" for f in (*visit.violations, *visit.incomplete)]
            assert told == [], (name, view)
            assert visit.overflow <= 0, (name, view)
            assert (visit.dialogs, visit.requests, visit.complaints) == ([], [], []), (name, view)


def test_the_checkers_find_nothing(
    pages: Pages,
    vnu: Callable[[Pages], dict[str, list[Finding]]],
    html_validate: Callable[[Pages], dict[str, list[Finding]]],
) -> None:
    assert {name: found for name, found in vnu(pages).items() if found} == {}
    found = {name: [f for f in some if f.rule not in ON_PURPOSE] for name, some in html_validate(pages).items()}
    assert {name: some for name, some in found.items() if some} == {}
