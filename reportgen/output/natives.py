"""What draws a PDF beside Python packages: native libraries with their versions, and the font files that are offered first.

Another HarfBuzz or another cut of a font moves letters, so a run that is made again elsewhere may differ by them alone.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

#: Library -> (name for the search, usual file names, function that tells the version, whether it is a number).
_LIBRARIES = {
    "fontconfig": ("fontconfig", ("libfontconfig.so.1", "libfontconfig.1.dylib"), "FcGetVersion", True),
    "harfbuzz": ("harfbuzz", ("libharfbuzz.so.0", "libharfbuzz.0.dylib"), "hb_version_string", False),
    "pango": ("pango-1.0", ("libpango-1.0.so.0", "libpango-1.0.dylib"), "pango_version_string", False),
}
_SUBSET = ("harfbuzz-subset", ("libharfbuzz-subset.so.0", "libharfbuzz-subset.0.dylib"))
_WEIGHTS = {"regular": 80, "bold": 200}
_PATTERN, _FOUND = 0, 0  # FcMatchPattern, FcResultMatch


def _load(name: str, usual: Iterable[str]) -> ctypes.CDLL | None:
    for candidate in (*usual, ctypes.util.find_library(name)):
        with suppress(OSError):
            if candidate:
                return ctypes.CDLL(candidate)
    return None


def native_versions() -> dict[str, str]:
    """Versions of the native libraries behind a PDF; those that do not load are left out."""
    found = {}
    for label, (name, usual, function, numbered) in _LIBRARIES.items():
        if (library := _load(name, usual)) is None:
            continue
        tell = getattr(library, function)
        tell.restype = ctypes.c_int if numbered else ctypes.c_char_p
        told = tell()
        found[label] = f"{told // 10000}.{told // 100 % 100}.{told % 100}" if numbered else told.decode("ascii")
    if _load(*_SUBSET) is not None:
        found["harfbuzz-subset"] = "loads"
    return found


def font_files(families: Iterable[str], languages: Iterable[str]) -> list[dict[str, Any]]:
    """The files that fontconfig offers first for each family and language, regular and bold.

    Returns
    -------
    list of dict
        ``family``, ``language``, ``weight``, ``file`` (without folder) and ``sha256``; empty without fontconfig.
    """
    library = _load(*_LIBRARIES["fontconfig"][:2])
    if library is None:
        return []
    _declare(library)
    hashes: dict[str, str] = {}
    rows = []
    for family in dict.fromkeys(families):
        for language in dict.fromkeys(languages):
            for weight, number in _WEIGHTS.items():
                path = _match(library, f"{family}:lang={language}:weight={number}")
                if path:
                    hashes[path] = hashes.get(path) or hashlib.sha256(Path(path).read_bytes()).hexdigest()
                    rows.append({"family": family, "language": language, "weight": weight,
                                 "file": Path(path).name, "sha256": hashes[path]})  # fmt: skip
    return rows


def _declare(library: ctypes.CDLL) -> None:
    pointer = ctypes.c_void_p
    library.FcNameParse.argtypes, library.FcNameParse.restype = [ctypes.c_char_p], pointer
    library.FcConfigSubstitute.argtypes = [pointer, pointer, ctypes.c_int]
    library.FcDefaultSubstitute.argtypes = [pointer]
    library.FcFontMatch.argtypes = [pointer, pointer, ctypes.POINTER(ctypes.c_int)]
    library.FcFontMatch.restype = pointer
    library.FcPatternGetString.argtypes = [pointer, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    library.FcPatternDestroy.argtypes = [pointer]


def _match(library: ctypes.CDLL, pattern: str) -> str:
    """Path of the font that fontconfig prefers for a pattern; empty when there is none."""
    wanted = library.FcNameParse(pattern.encode("utf-8"))
    if not wanted:
        return ""
    library.FcConfigSubstitute(None, wanted, _PATTERN)
    library.FcDefaultSubstitute(wanted)
    result, told = ctypes.c_int(), ctypes.c_char_p()
    found = library.FcFontMatch(None, wanted, ctypes.byref(result))
    library.FcPatternDestroy(wanted)
    if not found:
        return ""
    there = library.FcPatternGetString(found, b"file", 0, ctypes.byref(told)) == _FOUND
    path = told.value.decode("utf-8", "surrogateescape") if there and told.value else ""
    library.FcPatternDestroy(found)
    return path if path and Path(path).is_file() else ""
