"""The operator's logo in an audit report: the picture that was sealed with the run, or none."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pikepdf
import pytest

from reportgen.audit.audit_data import collect
from reportgen.audit.audit_page import render_audit, render_audit_pdf
from reportgen.audit.logo import find_logo
from reportgen.audit.place import read_manifest
from reportgen.batch.get import find_report
from reportgen.report.words import LOCALES

Made = Callable[[str], Path]
_IMAGE = re.compile(r'<img class="logo" src="(data:[^"]*)" alt="([^"]*)">')


def page_of(run: Path, locale: str = "en") -> str:
    return render_audit(collect(run, lambda key: find_report(run, key, "json")), locale)


@pytest.fixture
def copy(with_logo: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(with_logo("svg"), tmp_path / "run"))


def forge(run: Path, address: str) -> None:
    """Put another picture where the logo was, and its hash into the manifest, as somebody would who may write there."""
    page = (run / "index.html").read_text("utf-8")
    (run / "index.html").write_text(re.sub(r"data:image/[^\"]*", lambda _: address, page), "utf-8")
    plain = json.loads((run / "manifest.json").read_bytes())
    plain["settings"]["options"]["logo_sha256"] = sha256(address.encode()).hexdigest()
    (run / "manifest.json").write_text(json.dumps(plain), "utf-8")


def address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_logo_of_the_run_is_in_page_and_pdf(kind: str, with_logo: Made) -> None:
    run = with_logo(kind)
    file = (run.parent / f"sign.{kind}").read_bytes()
    for locale in LOCALES:
        ((source, alt),) = _IMAGE.findall(page_of(run, locale))
        assert base64.b64decode(source.partition("base64,")[2]) == file
        assert alt == "Sign of &lt;the&gt; shop"


def test_a_pdf_tells_the_logo_in_words(with_logo: Made) -> None:
    run = with_logo("png")
    audit = collect(run, lambda key: find_report(run, key, "json"))
    with pikepdf.open(io.BytesIO(render_audit_pdf(audit, render_audit(audit)))) as pdf:
        told = [
            str(one.Alt) for one in pdf.objects if isinstance(one, pikepdf.Dictionary) and one.get("/S") == "/Figure"
        ]
    assert told == ["Sign of <the> shop"]


def test_a_run_without_a_logo_has_none(audited: Callable[[str], Path]) -> None:
    assert "<img" not in page_of(audited("bare"))


@pytest.mark.parametrize("hurt", ["another", "gone", "link", "long"])
def test_no_other_picture_takes_its_place(hurt: str, copy: Path, tmp_path: Path) -> None:
    page = copy / "index.html"
    data = page.read_bytes()
    page.unlink()
    if hurt == "another":
        page.write_bytes(re.sub(rb"data:image/[^\"]*", address("png", b"other").encode(), data))
    elif hurt == "link":
        (tmp_path / "outside.html").write_bytes(data)
        page.symlink_to(tmp_path / "outside.html")
    elif hurt == "long":
        page.write_bytes(data + b" " * 4_000_000)
    assert "<img" not in page_of(copy)


SVG = '<svg xmlns="http://www.w3.org/2000/svg" {}>{}</svg>'
HOSTILE = [
    address("svg+xml", SVG.format("", "<script>alert(1)</script>").encode()),
    address("svg+xml", SVG.format("", '<image href="file:///etc/passwd"/>').encode()),
    address("svg+xml", SVG.format('onload="alert(1)"', "").encode()),
    address("svg+xml", b'<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + SVG.format("", "&a;").encode()),
    address("png", b"no picture"),
    "data:image/png;base64,====",
]


@pytest.mark.parametrize("picture", HOSTILE)
def test_a_forged_run_gets_no_picture_past_the_guard(picture: str, copy: Path) -> None:
    forge(copy, picture)
    assert find_logo(copy, read_manifest(copy)) == ""
    harmless = address("svg+xml", SVG.format('viewBox="0 0 1 1"', '<path d="M0 0h1v1z"/>').encode())
    (copy / "index.html").write_text(f'<img src="{harmless}">', "utf-8")
    forge(copy, harmless)
    assert find_logo(copy, read_manifest(copy)) == harmless


def test_a_logo_without_words_is_left_out(copy: Path) -> None:
    plain = json.loads((copy / "manifest.json").read_bytes())
    plain["settings"]["config"]["look"]["logo_alt"] = plain["settings"]["config"]["operator"]["name"] = ""
    (copy / "manifest.json").write_text(json.dumps(plain), "utf-8")
    assert "<img" not in page_of(copy)


@pytest.mark.parametrize("look", [{"font": "x}</style><script>"}, {"accent": "red"}, {"paper": "A4;}"}, {"accent": 1}])
def test_a_forged_look_does_not_come_into_the_style_sheet(look: dict[str, object], few: dict[str, Path]) -> None:
    audit = collect(few["files"], lambda key: find_report(few["files"], key, "json"))

    def page(look: dict[str, object]) -> str:
        settings = audit.settings | {"config": audit.settings["config"] | {"look": look}}
        return render_audit(replace(audit, settings=settings), "en")

    assert page(look) == page({})
    assert page({"accent": "#7a1f3d"}) != page({})
