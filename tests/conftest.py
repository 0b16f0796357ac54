"""Shared fixtures: the real data sets beside the repository, tools that may be missing, hypothesis settings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

# No deadline: a busy machine is not a bug. In CI the same examples every time.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if IN_CI else "local")


def need_tool(name: str, install_line: str) -> str:
    """Return the path of a program. Without it the test is skipped, and fails where CI is set."""
    found = shutil.which(name)
    if found is None:
        message = f"{name} is not installed; to run this test: {install_line}"
        if IN_CI:
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return found


@pytest.fixture(name="need_tool", scope="session")
def need_tool_fixture() -> Callable[[str, str], str]:
    """`need_tool` for tests: ``need_tool("qpdf", "apt-get install qpdf")`` is the path of the program."""
    return need_tool


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: ``REPORTGEN_SHARED_DATA``, or ``../shared/data`` beside the repository."""
    folder = Path(os.environ.get("REPORTGEN_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no shared data: set REPORTGEN_SHARED_DATA to the folder that holds the real data sets")
    return folder


@pytest.fixture(scope="session")
def shared_table(shared_data: Path) -> Callable[[str], Path]:
    """Return the path of one shared file, such as ``uci-online-retail/items.parquet``; skip where it is absent."""

    def find(name: str) -> Path:
        path = shared_data / name
        if not path.exists():
            pytest.skip(f"no shared data: {name} is not in the folder that holds the real data sets")
        return path

    return find
