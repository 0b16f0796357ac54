"""The operator's look on the page: what is taken, what is mended, what is refused; and what an own template may not reach."""

from __future__ import annotations

import base64
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pikepdf
import pytest
from crafted import craft, read_page, usual
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reportgen.config import Config, Look, load_config
from reportgen.errors import ConfigError, RenderError
from reportgen.report.build import build_report
from reportgen.report.contained import reaches
from reportgen.report.document import Report, Theme
from reportgen.report.figures import contrast
from reportgen.report.html import column_names, render_html
from reportgen.report.pdf import render_pdf
from reportgen.report.theme import (
    DARK_PAPERS,
    LEAST_CONTRAST,
    LIGHT_PAPERS,
    MOST_BYTES,
    readable,
    theme_css,
    theme_of,
)

COLOURS = st.integers(0, 0xFFFFFF).map(lambda n: f"#{n:06x}")
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8z" fill="#123456"/></svg>'


def themed(**look: str) -> Report:
    config = Config.from_dict({"look": look})
    return build_report(craft([[[1.0, 0, 0, 0]]]), config=config)


def picture(kind: str, size: tuple[int, int] = (8, 8)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "#123456").save(file, kind)
    return file.getvalue()


def sheet(repository: Path, name: str) -> str:
    return (repository / "templates" / name).read_text("utf-8")


# -- colours --------------------------------------------------------------------------------------------------------


@given(COLOURS)
def test_every_accent_reads_on_every_paper(colour: str) -> None:
    for papers in (LIGHT_PAPERS, DARK_PAPERS):
        found = readable(colour, papers)
        assert re.fullmatch("#[0-9a-f]{6}", found)
        assert min(contrast(found, paper) for paper in papers) >= LEAST_CONTRAST
        assert readable(found, papers) == found


def test_an_accent_that_reads_is_kept_and_another_keeps_its_hue() -> None:
    assert readable("#1F5A94", LIGHT_PAPERS) == "#1f5a94"
    assert readable("#8ec1f2", DARK_PAPERS) == "#8ec1f2"
    red, green, blue = (int(readable("#ffdd00", LIGHT_PAPERS)[at : at + 2], 16) for at in (1, 3, 5))
    assert red > green > blue == 0  # still a yellow, darker
    assert readable("#ffffff", LIGHT_PAPERS) == readable("#fefefe", LIGHT_PAPERS)


def test_the_papers_are_those_of_the_style_sheets(repository: Path) -> None:
    def papers(css: str) -> set[str]:
        return set(re.findall(r"--(?:paper|wash):\s*(#[0-9a-f]{6})", css))

    assert papers(sheet(repository, "base.css")) | papers(sheet(repository, "print.css")) == set(LIGHT_PAPERS)
    assert papers(sheet(repository, "screen.css")) == set(DARK_PAPERS)


def test_the_accents_of_the_built_in_look_read(repository: Path) -> None:
    light, dark = (
        re.findall(rf"--accent-{name}:\s*(#[0-9a-f]{{6}})", sheet(repository, "base.css"))[0]
        for name in ("light", "dark")
    )
    assert readable(light, LIGHT_PAPERS) == light
    assert readable(dark, DARK_PAPERS) == dark


def test_the_theme_is_one_block_after_the_style_sheets() -> None:
    plain, own = (
        render_html(themed()),
        render_html(themed(accent="#b00020", font='"Brand Sans", serif', paper="Letter")),
    )
    styles = [style.text for style in read_page(own).root.all("style")]
    assert len(styles) == len(read_page(plain).root.all("style")) + 1
    assert styles[-1] == (
        ":root{--accent-light:#b00020;--accent-dark:" + readable("#b00020", DARK_PAPERS) + "}"
        'body,h1,h2,h3,.lead{font-family:"Brand Sans", serif,var(--sans)}@page{size:letter}'
    )
    # Dark mode and print choose among the two accents: nothing in the block overrides them.
    assert "--accent:" not in styles[-1]
    assert "--paper" not in styles[-1]
    assert theme_css(Theme()) == ""


@pytest.mark.parametrize(("paper", "points"), [("A4", (595, 842)), ("Letter", (612, 792))])
def test_the_paper_is_that_of_the_pdf(paper: str, points: tuple[int, int]) -> None:
    with pikepdf.open(io.BytesIO(render_pdf(themed(paper=paper)))) as pdf:
        assert {tuple(round(float(side)) for side in page.mediabox[2:]) for page in pdf.pages} == {points}


# -- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "font", ["", "Arial", '"Open Sans", Arial, sans-serif', "'Brand 2', serif", "思源黑体, sans-serif", "Source Sans 3"]
)
def test_fonts_that_are_taken(font: str) -> None:
    if font == "Source Sans 3":  # no CSS name without quotes: a part begins with a digit
        font = f'"{font}"'
    assert Config.from_dict({"look": {"font": font}}).look.font == font


@pytest.mark.parametrize(
    "font",
    [
        "a;b",
        "a}b",
        "url(x)",
        '"a',
        "a,",
        ",a",
        "a\\",
        "<b>",
        "expression(1)",
        "a/*",
        '"a{"',
        "@x",
        "a" * 301,
        "a\nb",
        "Sans 3",
    ],
)
def test_fonts_that_are_refused(font: str) -> None:
    with pytest.raises(ConfigError, match=r"\[look\] font: .* is not a list of font names; write for example"):
        Config.from_dict({"look": {"font": font}})


@pytest.mark.parametrize(
    "logo", ["https://shop.test/logo.png", "file:///etc/logo.png", "data:image/a.png", "//host/logo.svg"]
)
def test_an_address_is_no_logo(logo: str) -> None:
    with pytest.raises(ConfigError, match="is an address; a page fetches nothing"):
        Config.from_dict({"look": {"logo": logo}})


def test_other_words_of_the_look_are_checked() -> None:
    for key, value in (("paper", "A5"), ("accent", "red"), ("accent", "#fff"), ("logo", "logo.gif")):
        with pytest.raises(ConfigError, match=key):
            Config.from_dict({"look": {key: value}})


# -- logo -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.svg", "SVG"), ("odd.png", "JPEG")])
def test_a_logo_goes_into_the_page(tmp_path: Path, name: str, kind: str, pdf_log: list[str]) -> None:
    data = SVG.encode() if kind == "SVG" else picture(kind)
    (tmp_path / name).write_bytes(data)
    (tmp_path / "shop.toml").write_text(f'[look]\nlogo = "{name}"\nlogo_alt = "A <Shop>"\n', "utf-8")
    report = build_report(craft([[[1.0, 0, 0, 0]]]), config=load_config(tmp_path / "shop.toml"))
    image = read_page(render_html(report)).root.all("img")[0]
    media = {"PNG": "image/png", "JPEG": "image/jpeg", "SVG": "image/svg+xml"}[kind]
    assert image.attrs["src"] == f"data:{media};base64,{base64.b64encode(data).decode()}"
    assert image.attrs["alt"] == "A <Shop>"
    assert render_pdf(report).startswith(b"%PDF-")
    assert pdf_log == []


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.png", b"", "is no png or jpg picture"),
        ("a.png", b"#!/bin/sh\n", "is no png or jpg picture"),
        ("a.png", picture("PNG")[:44], "is no png or jpg picture"),
        ("a.png", picture("PNG")[:-8], "cut short"),
        ("a.jpg", picture("JPEG")[:-2], "cut short"),
        ("a.png", picture("GIF"), "is no png or jpg picture"),
        ("a.jpg", SVG.encode(), "is no png or jpg picture"),
        ("a.png", picture("PNG") + bytes(MOST_BYTES), "is larger than 200 kB"),
        ("a.png", picture("PNG", (5000, 1)), "has 5000 x 1 pixels, at most 4000 a side"),
        ("a.svg", picture("PNG"), "is no svg picture"),
        ("a.svg", b"<svg", "is no svg picture"),
        ("a.svg", b"<html></html>", "its root is <html>"),
    ],
)
def test_a_file_that_is_no_picture_is_refused(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError) as raised:
        theme_of(Look(logo=str(tmp_path / name)))
    assert name in str(raised.value)
    assert reason in str(raised.value)
    assert "give a png, jpg or plain svg file" in str(raised.value)


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("<script>1</script>", "<script>"),
        ("<foreignObject/>", "<foreignObject>"),
        ('<image href="https://a.test/x.png"/>', "<image>"),
        ("<a href='https://a.test'/>", "<a>"),
        ("<animate/>", "<animate>"),
        ('<path onclick="x()"/>', "runs something (onclick)"),
        ('<use href="other.svg#a"/>', "reaches outside"),
        ('<use xmlns:x="http://www.w3.org/1999/xlink" x:href="https://a.test#a"/>', "reaches outside"),
        ('<path fill="url(https://a.test/#g)"/>', "reaches outside"),
        ("<path style=\"fill:url( 'file:///etc/x')\"/>", "reaches outside"),
        ("<style>@import 'x.css';</style>", "style that reaches outside"),
        ("<style>.a{fill:\\75rl(x)}</style>", "style that reaches outside"),
        ("<!DOCTYPE svg>", "document type"),
        ("<style><![CDATA[.a{}]]></style>", "CDATA"),
    ],
)
def test_a_drawing_that_runs_or_reaches_is_refused(tmp_path: Path, inside: str, reason: str) -> None:
    path = tmp_path / "a.svg"
    path.write_text(SVG.replace("<path", f"{inside}<path", 1), "utf-8")
    with pytest.raises(ConfigError, match=re.escape(reason)):
        theme_of(Look(logo=str(path)))


def test_entities_do_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    path.write_text(
        '<!DOCTYPE s [<!ENTITY a "ha">]><svg xmlns="http://www.w3.org/2000/svg"><title>&a;</title></svg>', "utf-8"
    )
    with pytest.raises(ConfigError, match="declares a document type"):
        theme_of(Look(logo=str(path)))


def test_a_drawing_may_refer_to_itself(tmp_path: Path) -> None:
    inside = '<style>.a{fill:url(#g)}</style><defs><linearGradient id="g"/></defs><!-- <! --><use href="#g"/><path stroke="url(#g)"'
    path = tmp_path / "a.svg"
    path.write_text(SVG.replace("<path", inside, 1), "utf-8")
    assert theme_of(Look(logo=str(path))).logo.startswith("data:image/svg+xml;base64,")


def test_a_logo_that_is_not_there_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.png: cannot be read \(No such file or directory\)"):
        theme_of(Look(logo=str(tmp_path / "nowhere.png")))


# -- templates of one's own -----------------------------------------------------------------------------------------


def own(folder: Path, body: str, name: str = "report.html") -> str:
    """A page whose footer is the operator's; his file includes the built-in parts by name."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(body, "utf-8")
    return render_html(usual(), templates=folder)


PAGE = "<!DOCTYPE html>\n<html>\n<head><style>{{ css.base }}{{ css.screen }}{{ column_names }}</style></head>\n<body>\n%s\n</body></html>"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("<script>alert(1)</script>", "<script>"),
        ('<img src="file:///etc/passwd">', "file:///etc/passwd"),
        ('<link rel="stylesheet" href="https://a.test/x.css">', "<link> https://a.test/x.css"),
        ("<IMG SRC=//a.test/x.png>", "//a.test/x.png"),
        ('<img srcset="https://a.test/x.png 2x" src="data:image/png;base64,AA">', "https://a.test/x.png"),
        ('<p style="background:url(https://a.test/x.png)">x</p>', "url(https://a.test/x.png"),
        ("<style>@import 'https://a.test/x.css';</style>", "@import"),
        ("<style>p{background:\\75rl(//a.test)}</style>", "url(//a.test"),
        ('<p onclick="x()">x</p>', "onclick"),
        ('<iframe srcdoc="x"></iframe>', "<iframe>"),
        ('<a href="javascript:alert(1)">x</a>', "javascript:"),
        ('<a href="file:///etc/passwd">x</a>', "file:///etc/passwd"),
        ('<a href="http://a.test/">x</a>', "http://a.test/"),
        ('<meta http-equiv="refresh" content="0;url=https://a.test">', "refresh"),
        ('<form action="https://a.test"></form>', "<form> https://a.test"),
        ('<svg><image href="https://a.test/x.png"/></svg>', "https://a.test/x.png"),
        ('<base href="https://a.test/">', "<base>"),
        ('<img src="data:text/html;base64,AA">', "data:text/html"),
    ],
)
def test_a_template_that_runs_or_fetches_is_refused(tmp_path: Path, body: str, told: str) -> None:
    with pytest.raises(RenderError) as raised:
        own(tmp_path / "t", PAGE % body)
    assert str(raised.value).startswith("template report.html")
    assert told in str(raised.value)
    assert "a page stands alone" in str(raised.value)
    assert str(tmp_path) not in str(raised.value)


def test_the_message_names_the_line_that_reached_out(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"template report\.html, line 5: '<img> https://a\.test/x\.png'"):
        own(tmp_path / "t", PAGE % '<img src="https://a.test/x.png">')


@pytest.mark.parametrize(
    "body",
    [
        '<img src="data:image/png;base64,AA" alt="">',
        '<a href="https://a.test/x?y=1">x</a> <a href="mailto:a@a.test">x</a> <a href="#item1">x</a> <a href="other.html">x</a>',
        '<p title="on sale = now, url(x)">onion = fun; url(x) @import src=1</p>',
        '<svg viewBox="0 0 1 1"><path fill="url(#g)" d="M0 0"/><use href="#g"/></svg>',
        "<style>p::before{content:'\\2014 '}</style>",
    ],
)
def test_a_template_that_stands_alone_is_taken(tmp_path: Path, body: str) -> None:
    assert body in own(tmp_path / "t", PAGE % body)


@pytest.mark.parametrize("name", ["../../etc/passwd", "../secret.html", "/etc/passwd", "nowhere.html"])
def test_a_template_gets_no_file_from_outside_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.html").write_text("secret", "utf-8")
    with pytest.raises(RenderError) as raised:
        own(tmp_path / "t", f"ok\n{{% include {name!r} %}}")
    assert str(raised.value).startswith(f"template report.html, line 2: reaches for {name!r}, which lies neither")


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "secret.html").write_text("secret", "utf-8")
    (tmp_path / "t" / "part.html").symlink_to(tmp_path / "secret.html")
    with pytest.raises(RenderError, match=r"part\.html is a link that leads out of the folder"):
        own(tmp_path / "t", "{% include 'part.html' %}")


@pytest.mark.parametrize(
    "body",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ report.__class__.__init__.__globals__ }}",
        "{{ say.__globals__ }}",
        "{{ said.x }}",
    ],
)
def test_a_template_gets_at_nothing_behind_its_values(tmp_path: Path, body: str) -> None:
    with pytest.raises(RenderError, match=r"template report\.html, line 1: "):
        own(tmp_path / "t", body)


def test_a_style_sheet_of_ones_own_may_not_fetch(tmp_path: Path) -> None:
    (tmp_path / "base.css").write_text("body{color:red}\np{background:url(https://a.test/x.png)}", "utf-8")
    with pytest.raises(RenderError, match=r"template base\.css, line 2: 'url\(https://a\.test/x\.png'"):
        render_html(usual(), templates=tmp_path)


def test_every_built_in_page_stands_alone() -> None:
    for locale in ("en", "zh-CN"):
        for figures in ("cells", "png", "svg"):
            assert reaches(render_html(usual(locale), figures=figures)) == ""


def test_an_alarm_is_no_verdict() -> None:
    report = build_report(craft([[[1.0, 0, 0, 0]]], picks=['<script src="x"> onload=1 url(x) @import \\']))
    assert reaches(render_html(report)) == ""


# -- names of columns on a narrow screen ----------------------------------------------------------------------------


def test_names_of_columns_cannot_leave_their_string() -> None:
    css = str(column_names(('a"b\\c', "</style><b>", "类别 & ß"), "Points"))
    assert '"a\\22 b\\5c c"' in css
    assert "<" not in css
    assert "类别 \\26  ß" in css
    assert css.count("{") == css.count("}")


def test_every_column_has_its_name_where_rows_stand_alone() -> None:
    report = usual()
    css = next(
        style.text
        for style in read_page(render_html(report)).root.all("style")
        if "nth-child" in style.text and "max-width:40rem" in style.text and "grid" not in style.text
    )
    columns = report.items[0].ledger.columns
    for at, column in enumerate(columns, start=3):
        assert (
            f'.item td:nth-child({at})::before,.map .t+p+.t td:nth-child({at - 1})::before{{content:"{column}"}}' in css
        )
    assert f"nth-child({len(columns) + 3})" not in css


# -- the page "make it yours" ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def example(repository: Path) -> Path:
    return repository / "docs" / "examples" / "theme"


def test_the_worked_example_makes_pages(example: Path, pdf_log: list[str]) -> None:
    config = load_config(example / "reportgen.toml")
    for locale in ("en", "zh-CN"):
        report = build_report(craft([[[1.0, 0, 0, 0]]]), locale, config=config)
        html = render_html(report, templates=example / "templates")
        page = read_page(html)
        assert [image.attrs["alt"] for image in page.root.all("img")] == [config.look.logo_alt]
        assert "Questions? Call 01 23 45 67 89." in page.root.all("footer")[0].text
        assert config.look.footer in page.root.all("footer")[0].text
        assert report.footer[-1] in page.root.all("footer")[0].text  # what the built-in block says is still there
        assert config.look.accent in html
        assert render_pdf(report, templates=example / "templates").startswith(b"%PDF-")
    assert pdf_log == []


def test_the_page_shows_the_example_as_it_is(repository: Path, example: Path) -> None:
    text = (repository / "docs" / "look.md").read_text("utf-8")
    for name, language in (("reportgen.toml", "toml"), ("templates/report.html", "html")):
        assert f"```{language}\n{(example / name).read_text('utf-8').strip()}\n```" in text, name


def test_the_commands_of_the_page_run(repository: Path, example: Path, tmp_path: Path) -> None:
    from reportgen.data.shop import make_shop

    shop = make_shop(60, 60, random_state=3)
    for name in ("events", "items", "users"):
        getattr(shop, name).to_csv(tmp_path / f"{name}.csv", index=False)
    shutil.copytree(example, tmp_path / "docs" / "examples" / "theme")
    text = (repository / "docs" / "look.md").read_text("utf-8")
    lines = [line.strip() for line in re.findall(r"^    (reportgen build .*)$", text, re.MULTILINE)]
    assert lines
    for at, line in enumerate(lines):
        words = [f"out{at}" if word == "out" else word for word in shlex.split(line)]
        command = [sys.executable, "-m", *words, "--quiet", "--limit", "2"]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"REPORTGEN_KEY": "k" * 32}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        page = next((tmp_path / f"out{at}" / "reports").rglob("*.html")).read_text("utf-8")
        assert "--accent-light:" in page
        assert "data:image/svg+xml;base64," in (tmp_path / f"out{at}" / "index.html").read_text("utf-8")


def test_every_block_of_the_templates_is_on_the_page(repository: Path) -> None:
    text = (repository / "docs" / "look.md").read_text("utf-8")
    for name in ("report.html", "index.html"):
        blocks = re.findall(r"{% block (\w+) %}", sheet(repository, name))
        assert [block for block in blocks if f"`{block}`" not in text] == [], name
