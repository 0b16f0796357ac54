"""Explanations with known answers (see `crafted.py`), and one from a small fitted shop."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are imported by path: this makes `crafted` known to them

from crafted import fitted_explanations

from reportgen.explain.explanation import Explanation


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


@pytest.fixture(scope="session")
def elsewhere() -> list[dict[str, str]]:
    """`crafted.digests` in two other processes, each with its own hash seed and time zone."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import crafted, json; print(json.dumps(crafted.digests()))"
    settings = ({"PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland"}, {"PYTHONHASHSEED": "77", "TZ": "America/New_York"})
    runs = [
        subprocess.Popen([sys.executable, "-c", code], env=os.environ | setting, stdout=subprocess.PIPE, text=True)
        for setting in settings
    ]
    said = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    return [json.loads(text) for text in said]
