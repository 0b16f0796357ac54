"""The sentences of a report: what they say follows from the numbers, and nothing else."""

from __future__ import annotations

import numpy as np

from reportgen.explain.explanation import Counterfactual, Explanation
from reportgen.report.ledgers import Figures, head_label
from reportgen.report.words import Words, name

#: A second reason is told when it has at least this share, in whole percent.
_SECOND = 10
#: "A few items decided this": at most this many make up at least half.
_FEW = 3
#: Below this share the strongest item does not decide alone.
_WEAK = 25
#: Kinds of evidence that rest on what other shoppers took.
_BY_OTHERS = ("together", "next", "via", "again")


class Teller:
    """Tells one explanation in one language.

    Parameters
    ----------
    why : Explanation
    figures : Figures
    words : Words
    labels : list of str
        Short titles of the history items.
    feature_labels : dict
        The operator's names for features of his own.
    """

    def __init__(
        self, why: Explanation, figures: Figures, words: Words, labels: list[str], feature_labels: dict[str, str]
    ) -> None:
        self.why, self.figures, self.words, self.labels = why, figures, words, labels
        self.feature_labels = feature_labels
        self.heads = [why.model.heads[h] for h in figures.heads]

    # -- the list as a whole -------------------------------------------------------------------------------------

    def lead(self) -> str:
        """The list in one paragraph."""
        why, say = self.why, self.words.say
        if len(why.scores) == 0:
            return say("lead.none")
        if not why.attention.any():
            return say("lead.popular" if why.usage.used == 0 else "lead.popular_history")
        spoke = np.asarray(why.attention.any(axis=(1, 2)))
        weight = why.attention[spoke].sum(axis=2).mean(axis=0)
        head = self._strongest_head(spoke)
        named = np.flatnonzero((weight > 0) & ~why.past.hidden)
        named = named[np.argsort(-weight[named], kind="stable")]
        if named.size == 0:
            return say("lead.folded_only", **head)
        reach = np.cumsum(weight[named[:_FEW]])
        enough = int(np.argmax(reach >= 0.5)) + 1 if reach[-1] >= 0.5 else 0
        shown = enough or min(_FEW, named.size)
        items = self.words.list([name(self.labels[j]) for j in named[:shown]])
        share = self.figures.shares[spoke][:, named[:shown]].sum(axis=1).mean()
        given = {"share": self._percent(share), "items": items, **head}
        if (
            enough or why.past.hidden[np.argmax(weight)]
        ):  # "the strongest are" would be untrue where those are not shown
            return say("lead.concentrated", int(shown), **given)
        return say("lead.spread", int((weight > 0).sum()), **given)

    def _strongest_head(self, spoke: np.ndarray) -> dict[str, str]:
        best = int(np.argmax(self.why.attention[spoke].sum(axis=(0, 1))[self.figures.heads]))
        label = head_label(self.words, self.heads[best], self.feature_labels, short=False)
        return {"head": label, "head_share": self._percent(self.figures.cells[spoke, :, best].sum(axis=1).mean())}

    def _percent(self, share: float) -> str:
        """The mean of printed figures, so that a reader who adds them up finds the same."""
        return self.words.percent(min(100, round(float(share))))

    # -- one product ---------------------------------------------------------------------------------------------

    def sentence(self, k: int) -> str:
        """Why this product: the strongest reason, and the second where it counts."""
        told = self._told(k)
        if not told:
            return self._without_reason(k)
        head = [self._head_of(k, j) for j in told]
        if len(told) == 2 and head[0] == head[1]:
            return self._reason(k, told, self._why(head[0], two=True))
        return " ".join(self._reason(k, [j], self._why(h, two=False)) for j, h in zip(told, head, strict=True))

    def _told(self, k: int) -> list[int]:
        """History items that the sentence names, strongest first."""
        net = np.where(self.why.past.hidden, 0.0, self.why.net[k])
        order = np.argsort(-net, kind="stable")[:2]
        shares = self.figures.shares[k]
        return [int(j) for place, j in enumerate(order) if net[j] > 0 and shares[j] >= (1 if place == 0 else _SECOND)]

    def _without_reason(self, k: int) -> str:
        say, popularity = self.words.say, int(self.why.picks.popularity[k])
        if self.figures.shares[k].any():
            return say("reason.folded.text", why=self._why(self._head_of_all(k), two=False))
        return say("reason.popular.text", popularity) if popularity else say("reason.new.text")

    # Exact weights, not rounded cells: of two cells that print alike, one may be larger.
    def _head_of(self, k: int, j: int) -> str:
        return self.why.model.heads[int(np.argmax(self.why.attention[k, j]))]

    def _head_of_all(self, k: int) -> str:
        return self.why.model.heads[int(np.argmax(self.why.attention[k].sum(axis=0)))]

    def _why(self, head: str, two: bool) -> str:
        key = f"because.{head}" if two or f"because.{head}_one" not in self.words else f"because.{head}_one"
        if key in self.words:
            return self.words.say(key)
        return self.words.say("because.other", feature=head_label(self.words, head, self.feature_labels))

    def _reason(self, k: int, told: list[int], why: str) -> str:
        kinds = {str(self.why.past.event_type[j]) for j in told}
        kind = kinds.pop() if len(kinds) == 1 else "mixed"
        key = f"reason.{kind}" if f"reason.{kind}.one" in self.words else "reason.mixed"
        given = {"why": why}
        for letter, j in zip("ab", told, strict=False):
            given |= {
                letter: name(self.labels[j]),
                f"share_{letter}": self.words.percent(int(self.figures.shares[k, j])),
            }
        return self.words.say(f"{key}.{'two' if len(told) == 2 else 'one'}", **given)

    def notices(self, k: int) -> tuple[str, ...]:
        """What must be said of the product itself: that its place was paid for, that its price was made for this person."""
        known = self.why.picks.details[k]
        keys = (("sponsored", "item.sponsored"), ("price_personalised", "item.priced"))
        return tuple(self.words.say(key) for flag, key in keys if known.get(flag))

    def notes(self, k: int) -> tuple[str, ...]:
        """What would change it, and on how many shoppers it rests."""
        told = self._told(k)
        if not told:
            return ()
        notes = (*self._changes(k, told[0]), self._support(k, told))
        return tuple(note for note in notes if note)

    def _changes(self, k: int, j: int) -> tuple[str, ...]:
        """What the score would be without the strongest item, and without which items the product would leave the list."""
        found = self.why.counterfactuals[k] if self.why.counterfactuals else None
        if found is None:
            return (self._without(k, j),)
        if not found.items:
            key = "item.counterfactual_none" if found.minimal == "proven" else "item.counterfactual_not_found"
            return self._without(k, j), self.words.say(key, found.none_up_to)
        if found.items == (j,):  # both say "had it not counted": one sentence
            return (self._without(k, j, off_the_list=True),)
        return self._without(k, j), self._counterfactual(found)

    def _without(self, k: int, j: int, off_the_list: bool = False) -> str:
        """Leave-one-out: exact, since the score is a sum."""
        total, points, places = self.figures.total[k], self.figures.points[k, j], self.figures.decimals
        before, after = (self.words.number(value / 10**places, places) for value in (total, total - points))
        given = {"a": name(self.labels[j]), "before": before, "after": after}
        if off_the_list:
            return self.words.say("item.counterfactual_score", len(self.why.scores), **given)
        return self.words.say("item.without" if self._decides(k) else "item.without_weak", **given)

    def _decides(self, k: int) -> bool:
        """False where it may be said that no single item decides."""
        found = self.why.counterfactuals[k] if self.why.counterfactuals else None
        alone = found is not None and len(found.items) == 1
        return alone or bool(self.figures.shares[k].max() >= _WEAK)

    def _counterfactual(self, found: Counterfactual) -> str:
        items = self.words.list([name(self.labels[j]) for j in found.items])
        smallest = found.minimal == "proven" and len(found.items) > 1
        key = "item.counterfactual_smallest" if smallest else "item.counterfactual"
        return self.words.say(key, len(self.why.scores), items=items)

    def _support(self, k: int, told: list[int]) -> str:
        by_others = [h for h, head in enumerate(self.why.model.heads) if head in _BY_OTHERS]
        counted = self.why.attention[k][:, by_others].sum(axis=1)
        for j in sorted(told, key=lambda j: self._head_of(k, j) not in _BY_OTHERS):
            if counted[j] > 0 and self.why.support[k, j] > 0:
                return self.words.say("item.support", int(self.why.support[k, j]), a=name(self.labels[j]))
        return "" if counted.any() else self.words.say("item.support_content")
