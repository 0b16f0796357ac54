"""The operator's logo for an audit report. A run holds it in its own page, and the manifest knows it by its hash: no file is asked for."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from reportgen.audit.place import read_small
from reportgen.errors import ConfigError, OutputError
from reportgen.report.theme import as_logo

PAGE = "index.html"
#: The page of a run stays below half a megabyte, a logo in it below 0.3.
_MOST = 4_000_000
_DRAWING = "svg+xml"
_PICTURE = re.compile(rb"data:image/(?P<kind>png|jpeg|svg\+xml);base64,(?P<data>[A-Za-z0-9+/=]+)")


def find_logo(run: Path, manifest: Mapping[str, Any]) -> str:
    """The logo of a run as a ``data:`` address; "" for a run without one, or whose page no longer shows the one that was sealed.

    Parameters
    ----------
    run : Path
    manifest : mapping
        It holds the SHA-256 of the address, so that no other picture can take its place.
    """
    digest = (manifest["settings"].get("options") or {}).get("logo_sha256")
    if not digest:
        return ""
    try:
        page = read_small(run, PAGE, _MOST) or b""
    except OutputError:  # the picture is an ornament: that a page is damaged is for `verify` to say
        return ""
    found = next((one for one in _PICTURE.finditer(page) if sha256(one[0]).hexdigest() == digest), None)
    return "" if found is None else _guarded(found)


def _guarded(found: re.Match[bytes]) -> str:
    """The address, where it passes the guard of `read_logo`: who made the run could have gone around that."""
    try:
        data = base64.b64decode(found["data"], validate=True)
        return as_logo(data, found["kind"].decode("ascii") == _DRAWING, PAGE)
    except (ConfigError, ValueError):
        return ""
