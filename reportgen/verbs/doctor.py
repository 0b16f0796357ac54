"""``reportgen doctor``: is everything here that a run needs?"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from reportgen.output.facts import PACKAGES, python_version
from reportgen.verbs.door import DONE, FAILED, Door
from reportgen.version import VERSION

#: Library -> (name for the search, file names of Linux and macOS, needed).
_LIBRARIES = {
    "GObject": ("gobject-2.0", ("libgobject-2.0.so.0", "libgobject-2.0.0.dylib"), True),
    "Pango": ("pango-1.0", ("libpango-1.0.so.0", "libpango-1.0.dylib"), True),
    "Pango for FreeType": ("pangoft2-1.0", ("libpangoft2-1.0.so.0", "libpangoft2-1.0.dylib"), True),
    "HarfBuzz": ("harfbuzz", ("libharfbuzz.so.0", "libharfbuzz.0.dylib"), True),
    "Fontconfig": ("fontconfig", ("libfontconfig.so.1", "libfontconfig.1.dylib"), True),
    "HarfBuzz subset": ("harfbuzz-subset", ("libharfbuzz-subset.so.0", "libharfbuzz-subset.0.dylib"), False),
}
_INSTALL = "Debian, Ubuntu: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
_SLOW = "without it each PDF costs 160-280 ms more; Debian, Ubuntu: apt-get install libharfbuzz-subset0"
_FONTS = {"Latin": ("en", "fonts-open-sans"), "Chinese": ("zh-cn", "fonts-wqy-microhei")}


@dataclass(frozen=True)
class Check:
    """One thing looked at; `state` is ``ok``, ``warn`` or ``fail``."""

    state: str
    name: str
    told: str


def examine() -> list[Check]:
    """Look at Python, packages, native libraries, fonts and the folder for temporary files."""
    return [*_python(), *_packages(), *_libraries(), *_fonts(), _temporary()]


def _python() -> Iterator[Check]:
    yield Check("ok", "reportgen", VERSION)
    enough = sys.version_info >= (3, 11)
    yield Check("ok" if enough else "fail", "Python", python_version() + ("" if enough else "; needs 3.11 or newer"))


def _packages() -> Iterator[Check]:
    for name in PACKAGES:
        try:
            yield Check("ok", name, version(name))
        except PackageNotFoundError:
            yield Check("fail", name, f"not installed; pip install {name}")


def _libraries() -> Iterator[Check]:
    for label, (name, usual, needed) in _LIBRARIES.items():
        if _loads(name, usual):
            yield Check("ok", label, "loads")
        else:
            yield Check("fail" if needed else "warn", label, f"does not load; {_INSTALL if needed else _SLOW}")


def _loads(name: str, usual: tuple[str, ...]) -> bool:
    for candidate in (ctypes.util.find_library(name), *usual):
        with suppress(OSError):
            if candidate:
                ctypes.CDLL(candidate)
                return True
    return False


def _fonts() -> Iterator[Check]:
    program = shutil.which("fc-list")
    if program is None:
        yield Check("warn", "fonts", "fc-list is not installed, so no look at fonts; apt-get install fontconfig")
        return
    for label, (language, package) in _FONTS.items():
        family = _family(program, language)
        told = family or f"no font found, so such text prints as boxes; Debian, Ubuntu: apt-get install {package}"
        yield Check("ok" if family else "warn", f"{label} font", told)


def _family(program: str, language: str) -> str:
    """The first family, by name, that covers a language."""
    try:
        found = subprocess.run(
            [program, f":lang={language}", "family"],
            capture_output=True,
            timeout=30,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return min((line.split(",")[0].strip() for line in found.stdout.splitlines() if line.strip()), default="")


def _temporary() -> Check:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        return Check("fail", "temporary files", f"no room ({error.strerror}); set TMPDIR to a folder with room")
    return Check("ok", "temporary files", "can be written")


def run(given: argparse.Namespace, door: Door) -> int:
    """Look at packages, libraries and fonts."""
    checks = examine()
    for check in checks:
        if not given.quiet or check.state != "ok":
            door.console.print(f"{check.state:<5} {check.name}: {check.told}")
    failed = sum(check.state == "fail" for check in checks)
    if failed:
        return door.console.error(f"{failed} of {len(checks)} checks failed; see above for what to install", FAILED)
    return DONE
