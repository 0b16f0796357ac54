"""Whether a page stands alone. The built-in templates do, by their tests; an operator's own are checked page by page.

Most pages are cleared by a look at the names of their tags and attributes, all of which are known to be harmless. Only where one is
not, the page is read tag by tag for the verdict, so that a product called "onion = fun" costs some milliseconds and is no alarm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

#: Elements that run, fetch or send something.
REFUSED = frozenset(
    "script link base iframe frame frameset object embed applet form audio video source track portal animate set".split()  # noqa: SIM905
)
#: Attributes that hold an address which a browser or a PDF writer follows by itself.
_FETCHED = frozenset(
    "src srcset imagesrcset data poster action formaction background ping longdesc srcdoc lowsrc codebase classid".split()  # noqa: SIM905
)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml)[;,]", re.IGNORECASE)
#: Where a link may lead: https, mail, a place on the page, a file beside it.
_LINK = re.compile(r"https://|mailto:|#|(?![\s/\\]|\.\.)[\w./%-]*(?:#|$)", re.IGNORECASE)
_CSS_REACH = re.compile(
    r"@import[^;}]{0,80}|(?:url|src|image-set|image)\(\s*(?!\s*[\"']?\s*(?:#|data:image/))[^)]{0,80}", re.IGNORECASE
)
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
# What the quick look knows: everything else is read.
_PLAIN_TAGS = frozenset(
    "html head meta title style body header nav main section footer h1 h2 h3 h4 h5 h6 p ul ol li dl dt dd a b i em strong small bdi"  # noqa: SIM905
    " span div table caption colgroup col thead tbody tr th td figure figcaption img details summary code pre br hr".split()
)
_PLAIN_NAMES = frozenset(
    "lang dir charset content name media class id style scope alt rel colspan rowspan width height open aria-label"  # noqa: SIM905
    " aria-labelledby aria-hidden role href src http-equiv initial-scale".split()
)
_CSS_SIGNS = ("url(", "src(", "image(", "image-set(", "@import", "\\")
_TAG = re.compile(r"<([a-z][^\s>/]*)")
_NAME = re.compile(r"^.*[\"\[]|[~|^$*]$")
_ADDRESS = re.compile(
    r'href\s*=(?!"(?:#|https://|mailto:|reports/))|src\s*=(?!"data:image/(?:png|jpeg|svg\+xml);)|http-equiv\s*=(?!"content-security-policy")'
)


def reaches(html: str) -> str:
    """The first thing on a page that runs, or is taken from elsewhere, as it is written there; "" for a page that stands alone."""
    if _cleared(html.lower()):
        return ""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return next(iter(reader.found), "")


def _cleared(html: str) -> bool:
    """True where nothing in the page could reach out; False says only that it must be read."""
    if (
        any(sign in html for sign in _CSS_SIGNS)
        or _ADDRESS.search(html)
        or not _PLAIN_TAGS.issuperset(_TAG.findall(html))
    ):
        return False
    names = {before.rsplit(None, 1)[-1] for before in html.split("=")[:-1] if before.strip()}
    # What stands before a "=" is an attribute, or in a style sheet a selector such as td[class^="h"].
    return _PLAIN_NAMES.issuperset(_NAME.sub("", name) for name in names)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.in_style = tag == "style"
        self.found += _in_tag(tag, {name: value or "" for name, value in attrs})

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the form of the base class
        self.in_style = False

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.found += _in_style(data)


def _in_tag(tag: str, attrs: dict[str, str]) -> Iterator[str]:
    if tag in REFUSED:
        address = next((attrs[name] for name in ("src", "href", "data", "action") if attrs.get(name)), "")
        yield f"<{tag}> {address[:120]}".rstrip()
    if tag == "meta" and attrs.get("http-equiv", "").lower() not in ("", "content-security-policy", "content-type"):
        yield f'<meta http-equiv="{attrs["http-equiv"]}">'
    for name, value in attrs.items():
        bare = name.rpartition(":")[2]
        if bare.startswith("on") and len(bare) > 2:
            yield f"{name}={value[:80]}"
        elif (bare in _FETCHED and not _PICTURE.match(value.strip())) or (bare == "href" and not _may_lead(tag, value)):
            yield f"<{tag}> {value[:120]}"
        elif "(" in value or "\\" in value:
            yield from _in_style(value) if bare not in ("alt", "title", "content", "aria-label") else ()


def _may_lead(tag: str, address: str) -> bool:
    return bool(_LINK.match(address)) if tag == "a" else address.startswith("#")


def _in_style(text: str) -> Iterator[str]:
    """Addresses in a style; escapes are undone first, for ``\\75rl(`` is ``url(`` too."""
    plain = _CSS_ESCAPE.sub(lambda e: chr(min(int(e[1], 16), 0x10FFFF)) if e[1] else e[2], text)
    yield from (found[0].strip() for found in _CSS_REACH.finditer(plain))
