"""What a report can be, the formats that are written and the ways in which figures are drawn; and how often a model is fitted again."""

from __future__ import annotations

#: Format -> media type, in the order in which links are shown.
FORMATS = {
    "html": "text/html",
    "pdf": "application/pdf",
    "json": "application/json",
    "eml": "message/rfc822",
    "crm": "application/json",  # the mail of one reader as a mail service is given it; unfolded into a folder at the end
}
#: ``cells`` are coloured cells of a table; the others are pictures above it.
FIGURES = ("cells", "png", "svg")
#: Refits that measure how stable reasons are. From one alone nothing follows, as it cannot be told how much another one would differ.
REFITS = (0, *range(2, 1001))
REFITS_TOLD = "give 0 to measure nothing, or 2 to 1000"
