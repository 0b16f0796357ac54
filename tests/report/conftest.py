"""Explanations with known answers (see `crafted.py`), and one from a small fitted shop."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are imported by path: this makes `crafted` known to them

from crafted import fitted_explanations  # noqa: E402

from reportgen.explain.explanation import Explanation  # noqa: E402


@pytest.fixture(scope="session")
def fitted() -> list[Explanation]:
    """Explanations of some users of a small synthetic shop, cold and warm, through the real scorer."""
    return fitted_explanations()


class Quiet(logging.Handler):
    """Collects what the PDF writer and the font library say."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture
def pdf_log() -> Iterator[list[str]]:
    """Log lines of WeasyPrint and fontTools at level WARNING or above, while the test runs."""
    handler = Quiet()
    loggers = [logging.getLogger(name) for name in ("weasyprint", "fontTools")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.lines
    for logger in loggers:
        logger.removeHandler(handler)
