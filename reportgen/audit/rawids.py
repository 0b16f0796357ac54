"""Whether a raw id stands anywhere in a run: a search that costs the same for one id and for a million."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from reportgen.audit.place import Finding
from reportgen.errors import InputError

#: A run of these in a file is one word; ids of other signs are searched as they are.
_WORD = re.compile(rb"[0-9A-Za-z_.@+:-]+")
_EDGE = b".:-+"
#: Shorter ids, and numbers of fewer digits, stand everywhere by chance: as prices, counts, years, parts of a style sheet.
_LEAST, _LEAST_DIGITS = 4, 7
_MOST = 20


class RawIds:
    """Ids that must not occur.

    Parameters
    ----------
    ids : iterable of str

    Attributes
    ----------
    findings : list of Finding
        Files in which one occurs. The id itself is not repeated.
    notes : list of str
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        told = {one for one in ids if one}
        short = {one for one in told if len(one) < (_LEAST_DIGITS if one.isdigit() else _LEAST)}
        raw = {one.encode("utf-8", "surrogatepass") for one in told - short}
        self._words = {one for one in raw if _WORD.fullmatch(one) and one.strip(_EDGE) == one}
        self._others = sorted(raw - self._words)
        if short:
            self.notes.append(
                f"{len(short)} ids are so short that they stand everywhere by chance and were not searched for"
            )
        if told:
            self.notes.append("ids were searched in bytes as they lie: not inside compressed streams of a PDF")
        self._places: set[str] = set()

    def look(self, path: str, data: bytes) -> None:
        """Search one file, or a part of it."""
        if not self._words and not self._others:
            return
        name = path.encode("utf-8", "replace")
        found = any(word.strip(_EDGE) in self._words for text in (name, data) for word in _WORD.findall(text))
        if (found or any(one in data for one in self._others)) and path not in self._places:
            self._places.add(path)
            if len(self._places) <= _MOST:
                self.findings.append(Finding(path, "holds a raw id of a user"))


def read_ids(path: Path) -> list[str]:
    """Read a file with one id per line.

    Raises
    ------
    InputError
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name a text file with one id per line") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8") from error
