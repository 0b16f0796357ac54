"""What a page says about another model: only what its table says, and what was measured. Attention is never called a reason."""

from __future__ import annotations

import math

import numpy as np

from reportgen.explain.foreign import ForeignExplanation
from reportgen.explain.foreign_effects import AGREES
from reportgen.report.foreign_tables import ForeignFigures
from reportgen.report.sentences import points_text
from reportgen.report.words import Words, name
from reportgen.text import clean

#: A second item is named when it has at least this share, in whole percent.
_SECOND = 10
_TEXT = 80


class ForeignTeller:
    """Tells one foreign explanation in one language.

    Parameters
    ----------
    why : ForeignExplanation
    figures : ForeignFigures
    words : Words
    labels : list of str
        A short title for each history item.
    """

    def __init__(self, why: ForeignExplanation, figures: ForeignFigures, words: Words, labels: list[str]) -> None:
        self.why, self.figures, self.words, self.labels = why, figures, words, labels
        self.contributes = why.kind == "contribution"

    def named(self, named: str, unnamed: str) -> str:
        """A sentence about the model, with its name or for one that was not named."""
        told = clean(" ".join(part for part in (self.why.model.name, self.why.model.version) if part), _TEXT)
        return self.words.say(named, model=name(told)) if told else self.words.say(unnamed)

    # -- the list as a whole

    def lead(self) -> str:
        say = self.words.say
        if self.contributes:
            return self.words.join(
                [self.named("foreign.lead", "foreign.lead_unnamed"), say("foreign.lead_contribution")]
            )
        told = [self.named("foreign.lead", "foreign.lead_unnamed"), say("foreign.lead_attention")]
        if self.why.effects is None:
            return self.words.join([*told, say("foreign.lead_not_measured")])
        told.append(say("foreign.lead_measured"))
        against = sum(self.disagrees(k) for k in range(self.why.scores.size))
        return self.words.join([*told, say("foreign.lead_disagree", against)] if against else told)

    def disagrees(self, k: int) -> bool:
        """Whether attention and measured effects stand in another order for this product: Kendall's tau below `AGREES`."""
        faith = self.why.faithfulness
        return faith is not None and not self.contributes and faith.tau[k] < AGREES

    # -- one product

    def sentence(self, k: int) -> str:
        if self.contributes:
            return self._contribution(k)
        return self._looked(k) if self._effect_of(k) is None else self._effect(k)

    def _effect_of(self, k: int) -> int | None:
        """The named item without which the score loses most; None where nothing was measured."""
        effects = self.why.effects
        if effects is None or np.isnan(effects[k]).all():
            return None
        return next((j for j in self.figures.order[k] if not np.isnan(effects[k, j])), None)

    def _effect(self, k: int) -> str:
        say, j, effects = self.words.say, self._effect_of(k), self.why.effects
        assert j is not None
        assert effects is not None
        hidden = self.why.past.hidden
        if np.nanmax(np.where(hidden, -np.inf, effects[k])) <= 0:
            return say("foreign.effect_none")
        partly = bool(np.isnan(effects[k][~hidden]).any() or hidden.any())
        given = {"a": self._title(j), "points": self._points(self.figures.points[k][j] or 0)}
        return say("foreign.effect_among" if partly else "foreign.effect_most", **given)

    def _looked(self, k: int) -> str:
        """Where the attention lay: one item, two, or evenly on several."""
        say, shares, hidden = self.words.say, self.figures.shares[k], self.why.past.hidden
        named = [j for j in self._by_share(k) if shares[j]]
        if not named:
            return say("foreign.looked_elsewhere" if any(shares) or self.figures.rest[k] else "foreign.looked_nowhere")
        top = shares[named[0]]
        ties = [j for j in named if shares[j] == top]
        beyond = max([share for j, share in enumerate(shares) if hidden[j]] + [0])
        if len(ties) > 2:
            return say("foreign.looked_even", len(ties), share=self._percent(top))
        given = {"a": self._title(named[0]), "share_a": self._percent(top)}
        if len(named) > 1 and (shares[named[1]] >= _SECOND or len(ties) == 2):
            given |= {"b": self._title(named[1]), "share_b": self._percent(shares[named[1]])}
            return say("foreign.looked_two", **given)
        return say("foreign.looked_one" if top >= beyond else "foreign.looked_also", **given)

    def _by_share(self, k: int) -> list[int]:
        weight, hidden = self.why.weights[k], self.why.past.hidden
        return [int(j) for j in np.argsort(-weight, kind="stable") if not hidden[j]]

    def _contribution(self, k: int) -> str:
        say, shares = self.words.say, self.figures.shares[k]
        named = [j for j in self.figures.order[k] if shares[j]]
        if not named:
            return say("foreign.adds_nothing")
        j = named[0]
        given = {"a": self._title(j), "points": self._points(self.figures.points[k][j] or 0)}
        return say("foreign.adds", share=self._percent(shares[j]), **given)

    def notes(self, k: int) -> tuple[str, ...]:
        """What must be known to read the product's numbers."""
        notes = self._sums(k) if self.contributes else (*self._agreement(k), *self._wholeness(k))
        return tuple(note for note in notes if note)

    def _agreement(self, k: int) -> tuple[str, ...]:
        """How attention and effect go together, in words; attention comes second where an effect is known."""
        say, faith, j = self.words.say, self.why.faithfulness, self._effect_of(k)
        looked = next((i for i in self._by_share(k) if self.figures.shares[k][i]), None)
        if faith is None or j is None or looked is None:
            return ()
        given = {"a": self._title(looked), "share": self._percent(self.figures.shares[k][looked])}
        told = (say("foreign.attention_on", **given),)
        if math.isnan(faith.tau[k]):
            return (*told, say("foreign.no_order"))
        return (*told, say("foreign.disagree" if self.disagrees(k) else "foreign.agree"))

    def _wholeness(self, k: int) -> tuple[str, ...]:
        why, largest = self.why, self.why.how.heads == "max"
        if why.whole[k] or largest or why.total[k] <= 0:
            return ()
        return (self.words.say("foreign.not_one", sum=self.words.number(float(why.total[k]), 3)),)

    def _sums(self, k: int) -> tuple[str, ...]:
        why, say = self.why, self.words.say
        if math.isnan(why.gap[k]):
            return (say("foreign.sum_unknown"),)
        if why.sums[k]:
            return (say("foreign.sum_checked"),)
        found = self.figures.sums[k]
        return (say("foreign.sum_differs", gap=self._points((found.gap or 0) if found else 0)),)

    # -- how to read it

    def method(self) -> list[str]:
        say, why = self.words.say, self.why
        if self.contributes:
            return [say("foreign.what_contribution"), *self._how()]
        told = [say("foreign.what_attention"), *self._how()]
        if why.effects is None:
            return [*told, say("foreign.not_measured")]
        told += [say(f"foreign.by_{why.measured_by}"), say("foreign.effects_no_sum"), say("foreign.rule")]
        return [*told, *self._measures()]

    def _how(self) -> list[str]:
        say, how = self.words.say, self.why.how
        told = []
        if how.aggregation:
            told.append(say("foreign.aggregation", text=name(clean(how.aggregation, _TEXT))))
        if how.heads:
            key = f"foreign.heads_{how.heads}" if how.heads in ("mean", "max") else "foreign.heads_one"
            told.append(say(key, how.n_heads, name=name(clean(how.heads, _TEXT))))
        if how.layers:
            key = f"foreign.layers_{how.layers}" if how.layers in ("mean", "last") else "foreign.layers_one"
            told.append(say(key, how.n_layers, name=name(clean(how.layers, _TEXT))))
        if any(self.figures.rest):
            told.append(say("foreign.what_markers"))
        return told

    def _measures(self) -> list[str]:
        faith = self.why.faithfulness
        if faith is None or not faith.measures:
            return []
        key = "comprehensiveness@3"
        lost = {
            name: self._percent(min(max(round(100 * faith.measures[name][key]), 0), 100))
            for name in ("weights", "effects", "random", "similarity")
        }
        return [self.words.say("foreign.lost", top=self.words.count(3), **lost)]

    def data(self) -> list[str]:
        """Which data of the user the page is about."""
        why, say, usage = self.why, self.words.say, self.why.usage
        told = [say("foreign.used", usage.used) if usage.used else say("foreign.used_none")]
        if why.outside:
            told.append(say("foreign.outside", why.outside))
        alien = int(((why.past.n_events == 0) & ~why.past.hidden).sum())
        if alien:
            told.append(say("foreign.alien", alien))
        if why.past.hidden.any():
            told.append(say("data.folded", int(why.past.hidden.sum())))
        if usage.after:
            told.append(say("data.after", usage.after, date=self.words.date(why.as_of)))
        return [*told, say("foreign.unknown_data")]

    def _title(self, j: int) -> str:
        return self.words.title(self.labels[j])

    def _percent(self, share: int) -> str:
        return self.words.percent(share)

    def _points(self, points: int) -> str:
        return points_text(self.words, points, self.figures.decimals)
