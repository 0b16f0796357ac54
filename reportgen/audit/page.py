"""The run's page under the seal: lines of erased users may leave ``index.html``, everything else in it is proven.

The statement holds the hash of the page's skeleton: the page without the lines of reports, and with one word in place of the example of a
report's path. A line that is left must name one report three times over and nothing else, so it can say nothing of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

#: As `reportgen.batch.index` writes a report: its key, its files, its language where it is another than the page's.
_LINE = re.compile(rb'<li id="key-(?P<key>[a-z2-7]{24})">(?P<body>.*?)</li>')
_BODY = re.compile(
    rb'<a href="(?P<first>reports/[0-9a-f]{2}/[a-z2-7]{24}\.[a-z]{2,8})">(?P<key>[a-z2-7]{24})</a>'
    rb'(?: <a href="reports/[0-9a-f]{2}/[a-z2-7]{24}\.[a-z]{2,8}">[A-Z]{2,8}</a>)*(?: <span>[A-Za-z0-9-]{2,16}</span>)?'
)
_PATH = re.compile(rb"reports/[0-9a-f]{2}/[a-z2-7]{24}\.[a-z]{2,8}")
_EXAMPLE = b"reports/*"


def skeleton_hash(page: bytes) -> str:
    """SHA-256 of a page without the lines of reports."""
    return hashlib.sha256(_PATH.sub(_EXAMPLE, _LINE.sub(b"", page))).hexdigest()


def odd_lines(page: bytes, paths: Iterable[str]) -> Iterator[str]:
    """Keys whose line says anything but where the reports of that key lie.

    Parameters
    ----------
    page : bytes
    paths : iterable of str
        Reports that there are.
    """
    there = set(paths)
    for line in _LINE.finditer(page):
        key, body = line["key"].decode("ascii"), line["body"]
        found = _BODY.fullmatch(body)
        links = {path.decode("ascii") for path in _PATH.findall(body)}
        mine = {path for path in links if path[11:35] == key and path in there}
        if found is None or found["key"] != line["key"] or mine != links:
            yield key


def without_user(page: bytes, key: str, others: Iterable[str]) -> bytes:
    """The page without a user.

    Parameters
    ----------
    page : bytes
    key : str
    others : iterable of str
        Paths of reports that stay; the first takes the place of an example of this user's.
    """
    raw = key.encode("ascii")
    page = _LINE.sub(lambda line: b"" if line["key"] == raw else line[0], page)
    other = next(iter(others), "reports/*").encode("ascii")
    return _PATH.sub(lambda path: other if raw in path[0] else path[0], page)
