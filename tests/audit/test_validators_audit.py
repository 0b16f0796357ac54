"""The audit report before the outside judges: veraPDF, Chromium with axe-core, the Nu Html Checker and html-validate.

The judges themselves are tested with planted faults in `tests/report/test_validators_*.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from certificates import FROM, KINDS, issue
from drivers import VIEWS, Finding, Verdict, Visit
from foreign_shop import foreign_run

from reportgen.audit.audit_data import collect
from reportgen.audit.audit_page import render_audit, render_audit_pdf
from reportgen.audit.pdf_key import Sealer
from reportgen.audit.pdf_seal import seal_pdf
from reportgen.batch.get import find_report

pytestmark = pytest.mark.validator

#: Rules of each standard in the version that is pinned.
PROFILES = {"ua1": 106, "3a": 155}
#: The length of a plot is a number that the code formats; the page has no script and no other way to say it.
ON_PURPOSE = {"no-inline-style"}
#: What axe-core cannot decide: a header of a group of rows (``scope="rowgroup"``) spans its line, so no cell stands beside it.
UNDECIDED = 'th-has-data-cells: <table class="a compared">'

Pages = dict[str, Path]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, audited: Callable[[str], Path], with_logo: Callable[[str], Path]
) -> tuple[Pages, Pages, list[str]]:
    """Pages and PDFs by name, and what the writers said: a full run against another in both languages, one of a single user, two with
    a logo, whose PDFs are sealed, and one about another model.
    """
    folder = tmp_path_factory.mktemp("judged")
    jobs: dict[str, tuple[Path, str, Path | None]] = {
        "en": (audited("full"), "en", audited("before")), "zh-CN": (audited("full"), "zh-CN", audited("before")),
        "small": (audited("bare"), "en", None), "drawn": (with_logo("svg"), "zh-CN", None),
        "pixels": (with_logo("png"), "en", None), "foreign": (foreign_run(folder / "tables"), "zh-CN", None),
    }  # fmt: skip
    pages, papers = {}, {}
    with listening() as log:
        for name, (of, locale, against) in jobs.items():
            audit = collect(of, lambda key, of=of: find_report(of, key, "json"), against)
            page = render_audit(audit, locale)
            pages[name], papers[name] = folder / f"{name}.html", folder / f"{name}.pdf"
            pages[name].write_text(page, "utf-8")
            papers[name].write_bytes(render_audit_pdf(audit, page))
    for name, key in (("drawn", KINDS["rsa"]()), ("pixels", KINDS["p384"]())):
        sealer = Sealer(key, issue("Shop", key, "Shop", key))
        papers[name].write_bytes(seal_pdf(papers[name].read_bytes(), sealer, FROM))
    return pages, papers, log


@contextmanager
def listening() -> Iterator[list[str]]:
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("weasyprint", "fontTools", "reportgen")]
    for logger in loggers:
        logger.addHandler(handler)
    yield said
    for logger in loggers:
        logger.removeHandler(handler)


def test_every_pdf_passes_every_rule(
    made: tuple[Pages, Pages, list[str]], vera: Callable[[list[tuple[str, Path]]], dict[tuple[str, Path], Verdict]]
) -> None:
    _, papers, log = made
    assert log == []
    verdicts = vera([(profile, path) for profile in PROFILES for path in papers.values()])
    for (profile, path), verdict in verdicts.items():
        assert (verdict.failures, verdict.rules) == ({}, PROFILES[profile]), path.name


def test_axe_finds_nothing_and_pages_fit(
    made: tuple[Pages, Pages, list[str]], browser: Callable[..., dict[str, dict[object, Visit]]]
) -> None:
    pages, _, _ = made
    for name, visits in browser(pages).items():
        assert set(visits) == set(VIEWS)
        for view, visit in visits.items():
            told = [f"{f['rule']}: {f['html']} ({f['reason']})" for f in (*visit.violations, *visit.incomplete)]
            assert [one for one in told if not one.startswith(UNDECIDED)] == [], (name, view)
            assert not any(one["rule"] == "th-has-data-cells" for one in visit.violations)
            assert visit.overflow <= 0, (name, view)
            assert (visit.dialogs, visit.requests, visit.complaints) == ([], [], []), (name, view)


def test_the_checkers_find_nothing(
    made: tuple[Pages, Pages, list[str]],
    vnu: Callable[[Pages], dict[str, list[Finding]]],
    html_validate: Callable[[Pages], dict[str, list[Finding]]],
) -> None:
    pages, _, _ = made
    assert {name: found for name, found in vnu(pages).items() if found} == {}
    found = {name: [f for f in some if f.rule not in ON_PURPOSE] for name, some in html_validate(pages).items()}
    assert {name: some for name, some in found.items() if some} == {}
