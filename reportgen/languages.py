"""Language tags (BCP 47): those that reports are written in, and which of them serves a reader."""

from __future__ import annotations

import re

#: BCP 47 tag -> name that Babel knows.
LOCALES = {"en": "en", "zh-CN": "zh_Hans_CN"}

#: (language, script) -> tag. A reader of another script is not served: Simplified Chinese is no answer to ``zh-TW``.
_WRITTEN = {("en", "Latn"): "en", ("zh", "Hans"): "zh-CN"}
#: The script of a language where the tag names none (CLDR, likely subtags).
_USUAL = {"en": "Latn", "zh": "Hans"}
_TRADITIONAL = ("TW", "HK", "MO")
#: language[-extended][-script][-region][-anything else]; extended ``cmn`` is Mandarin, others are languages of their own.
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?:-(?P<extended>[a-z]{3}))?(?:-(?P<script>[a-z]{4}))?(?:-(?P<region>[a-z]{2}|\d{3}))?"
    r"(?:-[a-z0-9]{1,8})*",
    re.IGNORECASE | re.ASCII,
)
#: What POSIX adds to a tag: ``zh_CN.UTF-8``, ``en_GB@euro``.
_POSIX = re.compile(r"[.@].*", re.DOTALL)


def choose_locale(tag: str) -> str | None:
    """The language of `LOCALES` that a reader who asks for `tag` can read, or None.

    Case and ``_`` for ``-`` make no difference. Region and variants do not decide (``en-GB`` is served by ``en``), the
    script does: ``zh``, ``zh-Hans-SG`` and ``zh_CN.UTF-8`` are served by ``zh-CN``; ``zh-TW``, ``zh-HK`` and ``zh-Hant`` by none.

    Parameters
    ----------
    tag : str
        BCP 47, or a POSIX name.
    """
    found = _TAG.fullmatch(_POSIX.sub("", tag.strip()).replace("_", "-"))
    if found is None:
        return None
    language, extended = found["language"].lower(), (found["extended"] or "").lower()
    if language == "cmn" or (language == "zh" and extended == "cmn"):
        language, extended = "zh", ""
    if extended:
        return None
    script = (found["script"] or "").title() or _usual_script(language, (found["region"] or "").upper())
    return _WRITTEN.get((language, script))


def _usual_script(language: str, region: str) -> str:
    return "Hant" if language == "zh" and region in _TRADITIONAL else _USUAL.get(language, "")


def unavailable(tag: str) -> str | None:
    """Say that no report is written in the language of `tag`; None where one is."""
    return None if choose_locale(tag) else f"is not available; use one of {', '.join(LOCALES)}"
