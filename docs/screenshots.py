"""Make the pictures of ``docs/img`` anew: ``python docs/screenshots.py`` (needs Chromium and poppler-utils).

The pages are real ones: a user of the made-up shop through scorer, explanation and report, in English and Chinese, and the
page of a whole demo run.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from reportgen.attention.scorer import AttentionScorer
from reportgen.batch.run import build_run
from reportgen.config import Config, load_config
from reportgen.explain.explanation import Explanation
from reportgen.explain.why import explain_many
from reportgen.report.build import Reader, build_report
from reportgen.report.html import render_html
from reportgen.report.pdf import render_pdf
from reportgen.verbs.demo import demo_data, demo_settings

DOCS = Path(__file__).resolve().parent
NARROWEST = 500  # Chromium makes no window below this; a frame in the page is as narrow as wanted
COLOURS = 64
MOST_BYTES = 150_000
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--force-device-scale-factor=1",
]  # fmt: skip


def browser() -> str:
    """The path of Chromium."""
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None or shutil.which("pdftoppm") is None:
        sys.exit("needs Chromium and pdftoppm: apt-get install chromium poppler-utils")
    return found


@contextmanager
def chromium(address: str, *more: str) -> Iterator[None]:
    """Run Chromium once with a profile that is thrown away."""
    with tempfile.TemporaryDirectory() as profile:
        command = [browser(), *FLAGS, f"--user-data-dir={profile}", *more, address]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
        yield


def shoot(page: Path, picture: Path, width: int, height: int, dark: bool = False) -> None:
    """Draw a page as a screen of that size shows it."""
    address, window = page.as_uri(), width
    if width < NARROWEST:
        frame = page.with_suffix(f".{width}.html")
        style = f"border:0;width:{width}px;height:{height}px"
        frame.write_text(f'<body style="margin:0"><iframe src="{address}" style="{style}"></iframe>', "utf-8")
        address, window = frame.as_uri(), NARROWEST
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    with chromium(address, f"--screenshot={picture}", f"--window-size={window},{height}", *scheme):
        save(Image.open(picture).crop((0, 0, width, height)), picture)


def leaves(pdf: Path, picture: Path, count: int = 2) -> None:
    """The first pages of a PDF side by side, on grey."""
    stem = pdf.with_suffix("")
    subprocess.run(["pdftoppm", "-r", "72", "-png", "-l", str(count), str(pdf), str(stem)], check=True)
    pages = [Image.open(path) for path in sorted(pdf.parent.glob(f"{stem.name}-*.png"))]
    gap = 16
    size = (sum(page.width + gap for page in pages) + gap, max(page.height for page in pages) + 2 * gap)
    sheet = Image.new("RGB", size, "#c9c9c9")
    for at, page in enumerate(pages):
        sheet.paste(page, (gap + at * (page.width + gap), gap))
    save(sheet, picture)


def save(image: Image.Image, picture: Path) -> None:
    """Write with few colours: a page is flat, so the picture is small."""
    flat = image.convert("RGB").quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    flat.save(picture, optimize=True)
    if picture.stat().st_size > MOST_BYTES:
        sys.exit(f"{picture.name} has {picture.stat().st_size} bytes, at most {MOST_BYTES}")
    sys.stdout.write(f"{picture.name}: {image.width} x {image.height}, {picture.stat().st_size // 1000} kB\n")


def telling(whys: list[Explanation]) -> Explanation:
    """The user whose list has the most varied reasons: most cells of the ledgers that are not nothing."""
    return max(
        whys,
        key=lambda why: (int((why.contributions > 0).any(axis=(0, 1)).sum()), int(why.contributions.any(axis=1).sum())),
    )


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DOCS / "img", metavar="DIR")
    out = parser.parse_args().out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    data, config, inputs = demo_data(400)
    scorer = AttentionScorer(random_state=0).fit(data)
    why = telling(
        explain_many(scorer, data, [str(user) for user in data.user_ids[np.diff(data.indptr) > 12][:60]], n=5)
    )
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), out, why, config)
        settings = demo_settings(Path(folder) / "run", config, int(data.timestamps.max()), inputs)
        run = build_run(settings, data, scorer)
        shoot(run.index, out / "index.png", 1100, 1500)


def make(work: Path, out: Path, why: Explanation, config: Config) -> None:
    """All pictures of one report."""
    tell = partial(build_report, why, reader=Reader("k7mqp2vx4c3hwz5tn6rjyaeb", "Mary Whittaker"))
    english, chinese = tell("en", config=config), tell("zh-CN", config=config, reader=Reader("", "王小明"))
    example = DOCS / "examples" / "theme"
    shop = tell("en", config=load_config(example / "reportgen.toml"))
    pages = {"en": render_html(english), "zh": render_html(chinese)}
    pages["shop"] = render_html(shop, templates=example / "templates")
    for name, html in pages.items():
        (work / f"{name}.html").write_text(html, "utf-8")
    shoot(work / "en.html", out / "report-wide.png", 1280, 1500)
    shoot(work / "en.html", out / "report-narrow.png", 320, 1500)
    shoot(work / "en.html", out / "report-dark.png", 1280, 1500, dark=True)
    shoot(work / "zh.html", out / "report-zh.png", 1280, 1500)
    shoot(work / "shop.html", out / "report-theme.png", 1100, 1200)
    for name, report in (("pdf", english), ("pdf-zh", chinese)):
        (work / f"{name}.pdf").write_bytes(render_pdf(report))
        leaves(work / f"{name}.pdf", out / f"report-{name}.png")
    with chromium((work / "en.html").as_uri(), f"--print-to-pdf={work / 'print.pdf'}", "--no-pdf-header-footer"):
        leaves(work / "print.pdf", out / "report-print.png")


if __name__ == "__main__":
    main()
