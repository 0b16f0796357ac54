"""Whether a raw id stands anywhere in a run: a search that costs the same for one id and for a million."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path

from reportgen.audit.hidden_text import hidden_texts
from reportgen.audit.place import Finding
from reportgen.errors import InputError

#: A run of these in a file is one word; ids of other signs are searched as they are.
_WORD = re.compile(rb"[0-9A-Za-z_.@+:-]+")
_EDGE = b".:-+"
#: Shorter ids, and numbers of fewer digits, stand everywhere by chance: as prices, counts, years, parts of a style sheet.
_LEAST, _LEAST_DIGITS = 4, 7
_MOST = 20
#: No id is a longer word.
_LONGEST_WORD = 512


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
        self._others = sorted(form for one in raw - self._words for form in _forms(one))
        self._longest = max([_LONGEST_WORD, *map(len, self._others)])
        if short:
            self.notes.append(
                f"{len(short)} ids are so short that they stand everywhere by chance and were not searched for"
            )
        if told:
            self.notes.append(
                "ids were searched in every file of the run, in attachments, metadata and drawn text of PDFs and in parts of mails too; "
                "one that a line break of a PDF divides, or that is in a picture, is not found"
            )
        self._places: set[str] = set()

    def look(self, path: str, data: bytes) -> None:
        """Search one whole file."""
        if self._words or self._others:
            self._look(path, (path.encode("utf-8", "replace"), data, *hidden_texts(data)))

    def reader(self, path: str) -> Callable[[bytes], None]:
        """Search one file block by block; the last block is empty. What two blocks divide is put together again."""
        name, rest = path.encode("utf-8", "replace"), b""

        def feed(block: bytes) -> None:
            nonlocal rest
            text = rest + block
            end = _word_edge(text, len(text)) if block else len(text)
            rest = text[_word_edge(text, max(end - self._longest, 0)) :]
            if self._words or self._others:
                self._look(path, (name, text[:end]))

        return feed

    def _look(self, path: str, texts: Iterable[bytes]) -> None:
        if path not in self._places and any(map(self._found, texts)):
            self._places.add(path)
            if len(self._places) <= _MOST:
                self.findings.append(Finding(path, "holds a raw id of a user"))

    def _found(self, text: bytes) -> bool:
        words = (word.strip(_EDGE) in self._words for word in _WORD.findall(text)) if self._words else ()
        return any(words) or any(one in text for one in self._others)


def _word_edge(text: bytes, end: int) -> int:
    """The place at or before `end` where no word is cut; `end` itself where that is farther away than any word is long."""
    found = end
    while found and end - found < _LONGEST_WORD and _WORD.match(text, found - 1, found):
        found -= 1
    return found if end - found < _LONGEST_WORD else end


def _forms(raw: bytes) -> set[bytes]:
    """An id as it lies in a file: as it is, and as JSON and HTML write it."""
    text = raw.decode("utf-8", "surrogatepass")
    return {raw, json.dumps(text)[1:-1].encode("ascii"), escape(text).encode("utf-8", "surrogatepass")}


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
