"""What drew a PDF: libraries have versions, fonts have hashes, and a machine without either says nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from reportgen.output import natives


def test_libraries_have_versions() -> None:
    found = natives.native_versions()
    assert {"pango", "harfbuzz", "fontconfig"} <= found.keys()
    assert all(found[name].count(".") == 2 for name in ("pango", "harfbuzz", "fontconfig"))


def test_fonts_have_hashes() -> None:
    rows = natives.font_files(["serif", "serif", "no such family"], ["en"])
    assert [(row["family"], row["weight"]) for row in rows] == [
        ("serif", "regular"), ("serif", "bold"), ("no such family", "regular"), ("no such family", "bold"),
    ]  # fmt: skip
    assert all(len(row["sha256"]) == 64 and "/" not in row["file"] for row in rows)
    assert rows == natives.font_files(["serif", "no such family"], ["en"])


def test_the_hash_is_that_of_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.ttf").write_bytes(b"a font")
    monkeypatch.setattr(natives, "_match", lambda *_: str(tmp_path / "a.ttf"))
    assert natives.font_files(["x"], ["en"])[0]["sha256"] == hashlib.sha256(b"a font").hexdigest()


def test_nothing_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natives, "_load", lambda *_: None)
    assert natives.native_versions() == {}
    assert natives.font_files(["serif"], ["en"]) == []
