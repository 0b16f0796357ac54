"""The operator's look, from the configuration to something a page can use: colours, font, logo, paper.

A logo is the one file of the operator that goes into every page, so it is read under guard: it must be a picture by its bytes,
small, and, where it is an SVG, without anything that runs or fetches.
"""

from __future__ import annotations

import base64
import colorsys
import io
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from reportgen.config import Look
from reportgen.errors import ConfigError
from reportgen.report.document import Theme
from reportgen.report.figures import contrast

#: What an accent may lie on, as in ``base.css``, ``print.css`` and the dark part of ``screen.css``: paper and wash.
LIGHT_PAPERS = ("#fdfcf9", "#f5f2ea", "#ffffff")
DARK_PAPERS = ("#15181b", "#1d2125")
#: Contrast of text (WCAG 2.2, 1.4.3): links are set in the accent.
LEAST_CONTRAST = 4.5
#: Of a logo: bytes in the file, and pixels of a side.
MOST_BYTES, MOST_PIXELS = 200_000, 4_000
_KINDS = {"PNG": "image/png", "JPEG": "image/jpeg"}
_REMEDY = "give a png, jpg or plain svg file of at most 200 kB, or leave [look] logo empty"
# The elements that draw. Anything else (script, foreignObject, image, animation, links) may run or fetch something.
_DRAWS = frozenset(
    "svg g defs symbol use title desc metadata path rect circle ellipse line polyline polygon text tspan"  # noqa: SIM905
    " linearGradient radialGradient stop clipPath mask pattern style".split()
)
_REACHES = re.compile(r"@|\\|url\(\s*(?![\s\"']*#)|(?:java|vb)script:|expression\(", re.IGNORECASE)


@lru_cache(maxsize=8)
def theme_of(look: Look, operator: str = "") -> Theme:
    """Check the settings once per process and make them ready for pages.

    Parameters
    ----------
    look : Look
    operator : str
        Name of the operator: what stands for the logo where no words of its own are set.

    Raises
    ------
    ConfigError
        The logo cannot be read, or is not a picture that may go into a page; names the file and the remedy.
    """
    return Theme(
        accent=readable(look.accent, LIGHT_PAPERS) if look.accent else "",
        accent_dark=readable(look.accent, DARK_PAPERS) if look.accent else "",
        font=look.font,
        logo=read_logo(look.logo) if look.logo else "",
        logo_alt=look.logo_alt or operator,
        page=look.paper,
    )


@lru_cache(maxsize=8)
def theme_css(theme: Theme) -> str:
    """The one block of style that makes a page the operator's own; "" for the built-in look.

    It sets the two accents that the style sheets choose from, so that dark mode and print stay what they are.
    """
    rules = []
    if theme.accent:
        rules.append(f":root{{--accent-light:{theme.accent};--accent-dark:{theme.accent_dark}}}")
    if theme.font:
        rules.append(f"body,h1,h2,h3,.lead{{font-family:{theme.font},var(--sans)}}")
    if theme.page != "A4":  # the size that the style sheets have
        rules.append(f"@page{{size:{theme.page.lower()}}}")
    return "".join(rules)


def readable(colour: str, papers: tuple[str, ...]) -> str:
    """The colour itself where it reads on all papers (4.5:1), else the nearest darker or lighter one of the same hue that does.

    Parameters
    ----------
    colour : str
        ``#rrggbb``.
    papers : tuple of str
        All light or all dark.

    Returns
    -------
    str
        ``#rrggbb`` in small letters.
    """
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    step = -0.005 if contrast(papers[0], "#ffffff") < contrast(papers[0], "#000000") else 0.005
    found = colour.lower()
    while min(contrast(found, paper) for paper in papers) < LEAST_CONTRAST:
        lightness = min(1.0, max(0.0, lightness + step))
        found = "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation))
    return found


def read_logo(path: str) -> str:
    """Read a logo as a ``data:`` address.

    Raises
    ------
    ConfigError
        Not there, too large, no picture by its bytes, or an SVG that is more than a drawing.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(f"logo {path}: cannot be read ({getattr(error, 'strerror', error)}); {_REMEDY}") from error
    if len(data) > MOST_BYTES:
        raise ConfigError(f"logo {path}: is larger than {MOST_BYTES // 1000} kB; {_REMEDY}")
    return as_logo(data, Path(path).suffix.lower() == ".svg", path)


def as_logo(data: bytes, is_drawing: bool, source: str) -> str:
    """The bytes of a logo as a ``data:`` address, once they are known to be a picture and no more than that.

    Parameters
    ----------
    data : bytes
    is_drawing : bool
        An SVG; else PNG or JPEG.
    source : str
        Where the bytes are from, for the error.

    Raises
    ------
    ConfigError
        No picture by its bytes, or an SVG that is more than a drawing.
    """
    problem, kind = (_no_drawing(data), "image/svg+xml") if is_drawing else _no_picture(data)
    if problem:
        raise ConfigError(f"logo {source}: {problem}; {_REMEDY}")
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _no_picture(data: bytes) -> tuple[str, str]:
    """What is wrong with the bytes of a raster picture ("" for nothing), and its media type."""
    try:
        with Image.open(io.BytesIO(data), formats=tuple(_KINDS)) as image:
            if max(image.size) > MOST_PIXELS:
                return f"has {image.width} x {image.height} pixels, at most {MOST_PIXELS} a side", ""
            kind = _KINDS[str(image.format)]
            image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"is no png or jpg picture by its bytes ({str(error).partition(' <')[0]})", ""
    # Pillow can be told to draw what there is of a file cut short, and a PDF writer in the same process does tell it so.
    end = data.find(b"IEND\xaeB`\x82") if kind == "image/png" else data.rfind(b"\xff\xd9") - data.rfind(b"\xff\xda")
    return ("" if end > 0 else "is no png or jpg picture by its bytes (it is cut short)"), kind


def _no_drawing(data: bytes) -> str:
    """What is wrong with an SVG, "" for nothing."""
    try:
        text = data.decode("utf-8-sig")
        if "<!" in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL):  # entities can grow without end or read files
            return "declares a document type, entities or CDATA"
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        return f"is no svg picture ({error})"
    if _bare(root.tag) != "svg":
        return f"is no svg picture: its root is <{_bare(root.tag)}>"
    return next(_more_than_drawing(root), "")


def _more_than_drawing(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        if (tag := _bare(element.tag)) not in _DRAWS:
            yield f"holds <{tag}>, which is more than a drawing"
        if tag == "style" and _REACHES.search(element.text or ""):
            yield "has a style that reaches outside the file"
        for name, value in element.attrib.items():
            bare = _bare(name).lower()
            if bare.startswith("on"):
                yield f"runs something ({bare})"
            elif (bare in ("href", "src") and not value.strip().startswith("#")) or _REACHES.search(value):
                yield f'reaches outside the file ({bare}="{value[:80]}")'


def _bare(name: object) -> str:
    """A name without its namespace; comments and processing instructions have no name."""
    return name.rpartition("}")[2] if isinstance(name, str) else "?"
