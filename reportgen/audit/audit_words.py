"""How an audit report writes numbers and names, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reportgen.audit.audit_blocks import Cell
from reportgen.audit.fold_frame import HISTORY, HISTORY_EDGES, LANGUAGE, MISSING, REST
from reportgen.report.ledgers import head_label
from reportgen.report.record import microseconds
from reportgen.report.words import Words, name
from reportgen.text import clean

_NAME, _LONG = 60, 300


class Speaker:
    """Sentences, numbers and names of one report.

    Parameters
    ----------
    words : Words
    settings : mapping
        Settings of the run as its manifest holds them: the operator's names of features.
    weights : str
        ``attention`` or ``contribution`` where the run is about another model: its shares are none of reasons.
    """

    def __init__(self, words: Words, settings: Mapping[str, Any], weights: str = "") -> None:
        self.words, self.count, self.weights = words, words.count, weights
        features = (settings.get("config") or {}).get("features") or {}
        self.labels = {feature: self._label(feature, told or {}) for feature, told in features.items()}

    def say(self, key: str, n: int | None = None, /, **given: object) -> str:
        """A sentence of the audit."""
        return self.words.say(key, n, **given)

    def _label(self, feature: str, told: Mapping[str, Any]) -> str:
        labels = told.get("label") or {}
        found = labels.get(self.words.locale) or next(iter(labels.values()), feature.replace("_", " "))
        return clean(str(found), _NAME)

    def kind(self, kind: str, short: bool = False) -> str:
        """A kind of evidence."""
        told = head_label(self.words, kind, self.labels, short)
        return told if short else told[:1].upper() + told[1:]

    def measure(self, measure: str) -> str:
        """A measure, or a kind of evidence."""
        if "/" in measure:
            return self.kind(measure.removeprefix("kind/"))
        key = f"audit.measure.{measure}_{self.weights}"
        return self.say(key if key in self.words else f"audit.measure.{measure}")

    def dimension(self, dimension: str) -> str:
        """A way to group people."""
        if dimension in (LANGUAGE, HISTORY):
            named = "audit.dimension.language" if dimension == LANGUAGE else "audit.dimension.history"
            return self.say("audit.looked.events" if self.weights and dimension == HISTORY else named)
        return name(clean(dimension, _NAME))

    def group(self, dimension: str, group: str) -> str:
        """A group of people."""
        if group in (MISSING, REST):
            return self.say("audit.group.missing" if group == MISSING else "audit.group.rest")
        return self._events(int(group)) if dimension == HISTORY else name(clean(group, _NAME))

    def _events(self, at: int) -> str:
        first, end = (0, *HISTORY_EDGES)[at], (*HISTORY_EDGES, 0)[at]
        if end == first + 1:
            return self.say("audit.group.events", first)
        return (
            self.say("audit.group.events_from", first)
            if not end
            else self.say("audit.group.events_between", low=first, high=end - 1)
        )

    def number(self, value: float, decimals: int = 1) -> str:
        """A figure with its decimals."""
        return self.words.number(value, decimals)

    def percent(self, share: float | None, decimals: int = 1) -> str:
        """A share as a percentage with a decimal; a dash for none."""
        return "\u2013" if share is None else f"{self.number(100 * share, decimals)}%"

    def figure(self, found: Mapping[str, Any] | None, measure: str = "") -> str:
        """A figure in its unit."""
        return "\u2013" if found is None else self._in_unit(found["mean"], measure)

    def interval(self, found: Mapping[str, Any] | None, measure: str = "") -> str:
        """The interval of a figure in its unit; empty where there is none."""
        if found is None or found.get("low") is None:
            return ""
        return self.say(
            "audit.interval", low=self._in_unit(found["low"], measure), high=self._in_unit(found["high"], measure)
        )

    def _in_unit(self, value: float, measure: str) -> str:
        if measure in ("length", "effective", "price"):
            return self.number(value, 2 if measure == "price" else 1)
        return self.number(value, 2) if measure == "ratio" else self.percent(value)

    def num(self, found: Mapping[str, Any] | None, measure: str = "") -> Cell:
        """A figure above its interval."""
        return Cell("num", self.figure(found, measure), self.interval(found, measure))

    def day(self, iso: str | None) -> str:
        """The day of a time that a manifest names."""
        try:
            return self.words.date(microseconds(iso or ""))
        except ValueError:
            return "\u2013"

    def foreign(self, text: object) -> str:
        """Text of the data or of the operator, made safe and set apart."""
        return name(clean(str(text), _LONG))

    def title(self, text: object) -> str:
        """A product's title, or that none may be shown."""
        return (
            self.words.title(clean(text, _NAME)) if isinstance(text, str) and text else self.say("audit.case.not_shown")
        )

    def sentences(self, *told: str) -> str:
        """Sentences one after another."""
        return self.words.join([one for one in told if one])
