"""The sentences of a report: what they say follows from the numbers, and nothing else. The rules are in docs/words.md."""

from __future__ import annotations

from itertools import accumulate, compress

import numpy as np

from reportgen.explain.explanation import Counterfactual, Explanation
from reportgen.explain.privacy import FOLDED
from reportgen.report.ledgers import Figures, head_label
from reportgen.report.words import Words, name

#: A second reason, and what is not shown, are told when they have at least this share, in whole percent.
_SECOND = 10
#: "A few items decided this": at most this many make up at least half.
_FEW = 3
#: The kind of evidence by which a product speaks for itself, and all that rest on what other shoppers took.
_AGAIN = "again"
_BY_OTHERS = ("together", "next", "via", _AGAIN)
#: What items that are not shown rest on is not told, so it is not said either that nothing rests on other shoppers.
_MAYBE_BY_OTHERS = (*_BY_OTHERS, FOLDED)


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
    details : list of str
        What happened to each history item, and when.
    """

    def __init__(
        self,
        why: Explanation,
        figures: Figures,
        words: Words,
        labels: list[str],
        feature_labels: dict[str, str],
        details: list[str],
    ) -> None:
        self.why, self.figures, self.words, self.labels, self.details = why, figures, words, labels, details
        self.feature_labels = feature_labels
        self.heads = [why.model.heads[h] for h in figures.heads]
        place = {item: j for j, item in enumerate(why.past.item_id.tolist())}
        #: Where each recommended item stands in the history, -1 where it does not.
        self.own = [place.get(item, -1) for item in why.picks.item_id.tolist()]
        self.hidden = why.past.hidden.tolist()
        #: Of each recommended item, the history items that its sentence names.
        self.told = self._named()
        # Exact weights, not rounded cells: of two cells that print alike, one may be larger.
        self.strongest = why.attention.argmax(axis=2).tolist()
        by_others = [h for h, head in enumerate(why.model.heads) if head in _MAYBE_BY_OTHERS]
        #: What rests on other shoppers, by recommended item and history item.
        self.by_others = why.attention[:, :, by_others].sum(axis=2).tolist()

    # -- the list as a whole -------------------------------------------------------------------------------------

    def lead(self) -> str:
        """The list in one paragraph."""
        why, say = self.why, self.words.say
        if len(why.scores) == 0:
            return say("lead.none")
        if not why.attention.any():
            return self._lead_without_history()
        spoke = np.asarray(why.attention.any(axis=(1, 2)))
        told = [*self._sources(spoke)]
        if self.heads != [FOLDED]:
            told.append(self._strongest_heads(spoke))
        silent = int(np.count_nonzero(~spoke))
        if silent:
            told.append(say("lead.some", silent))
        if self.figures.base.sum() > self.figures.points.sum():
            told.append(say("lead.popularity"))
        return self.words.join(told)

    def _lead_without_history(self) -> str:
        say, why = self.words.say, self.why
        if not why.base.any():
            return say("lead.nothing")
        if why.usage.used == 0:
            return say("lead.popular")
        return say("lead.popular_against" if (why.net < 0).any() else "lead.popular_history")

    def _sources(self, spoke: np.ndarray) -> list[str]:
        """From which items of the history it comes; also how much from those without a name here."""
        why, say = self.why, self.words.say
        weight: list[float] = why.attention[spoke].sum(axis=2).mean(axis=0).tolist()
        hidden = self.hidden
        named = [j for j, share in enumerate(weight) if share > 0 and not hidden[j]]
        if not named:
            return [say("lead.folded_only")]
        named.sort(key=lambda j: -weight[j])
        reach = accumulate(weight[j] for j in named[:_FEW])
        enough = next((n for n, share in enumerate(reach, start=1) if share >= 0.5), 0)
        shown = named[: enough or _FEW]
        items = self.words.list([self.words.title(self.labels[j]) for j in shown])
        given = {"share": self._percent(self._mean_share(spoke, shown)), "items": items}
        # "Among the strongest" would be untrue where the strongest are not shown.
        if enough or hidden[weight.index(max(weight))]:
            told = [say("lead.concentrated", len(shown), **given)]
        else:
            told = [say("lead.spread", sum([share > 0 for share in weight]), **given)]
        folded = self._mean_share(spoke, [j for j, unnamed in enumerate(hidden) if unnamed])
        return [*told, say("lead.folded", share=self._percent(folded))] if folded >= _SECOND else told

    def _mean_share(self, spoke: np.ndarray, items: list[int]) -> float:
        """What share the items have together in print, on average over the products that the history speaks for."""
        rows = compress(self.figures.plain_shares, spoke.tolist())
        return sum([row[j] for row in rows for j in items]) / int(np.count_nonzero(spoke))

    def _strongest_heads(self, spoke: np.ndarray) -> str:
        """The kind of evidence that counts most; all of them where their printed shares are the same."""
        weight = self.why.attention[spoke].sum(axis=(0, 1))[self.figures.heads]
        printed = np.rint(self.figures.cells[spoke].sum(axis=(0, 1)) / np.count_nonzero(spoke))
        best = int(np.argmax(weight))
        label = [head_label(self.words, head, self.feature_labels, short=False) for head in self.heads]
        share = self._percent(printed[best])
        ties = np.flatnonzero(printed == printed[best])
        if ties.size < 2 or not np.allclose(weight[ties], weight[best], rtol=1e-9):
            return self.words.say("lead.head", head=label[best], share=share)
        return self.words.say("lead.heads", heads=self.words.list([label[h] for h in ties]), share=share)

    def _percent(self, share: float) -> str:
        """The mean of printed figures, so that a reader who adds them up finds the same."""
        return self.words.percent(min(100, round(float(share))))

    # -- one product ---------------------------------------------------------------------------------------------

    def sentence(self, k: int) -> str:
        """Why this product: the strongest reason, and the second where it counts."""
        told = self.told[k]
        if not told:
            return self._without_reason(k)
        head = [self._head_of(k, j) for j in told]
        if len(told) == 2 and head[0] == head[1]:
            return self._reason(k, told, head[0])
        return self.words.join([self._reason(k, [j], h) for j, h in zip(told, head, strict=True)])

    def _named(self) -> list[list[int]]:
        """History items that the sentences name, for each product strongest first; found for all products at once."""
        net = np.where(self.why.past.hidden, 0.0, self.why.net)
        order, exact = np.argsort(-net, axis=1, kind="stable")[:, :2].tolist(), net.tolist()
        return [
            [j for least, j in zip((1, _SECOND), best, strict=False) if exact[k][j] > 0 and shares[j] >= least]
            for k, (best, shares) in enumerate(zip(order, self.figures.plain_shares, strict=True))
        ]

    def _without_reason(self, k: int) -> str:
        say, popularity = self.words.say, int(self.why.picks.popularity[k])
        if any(self.figures.plain_shares[k]):
            return say("reason.folded.text")
        if popularity == 0 or self.why.base[k] == 0:
            return say("reason.new.text")
        # So few shoppers are not told as a number, and are no reason to call it popular.
        few = popularity < self.why.model.min_support
        return say("reason.rare.text") if few else say("reason.popular.text", popularity)

    def _head_of(self, k: int, j: int) -> str:
        return self.why.model.heads[int(self.strongest[k][j])]

    def _why(self, head: str, two: bool) -> str:
        known = head != "other" and f"because.{head}_one" in self.words
        key = f"because.{head if known else 'other'}{'' if two else '_one'}"
        label = "" if known else name(head_label(self.words, head, self.feature_labels))
        return self.words.say(key, feature=label)

    def _reason(self, k: int, told: list[int], head: str) -> str:
        kinds = {str(self.why.past.event_type[j]) for j in told}
        kind = kinds.pop() if len(kinds) == 1 else "mixed"
        kind = kind if f"reason.{kind}.one" in self.words else "mixed"
        given: dict[str, str] = {}
        for letter, j in zip("ab", told, strict=False):
            given |= {
                letter: self.words.title(self.labels[j]),
                f"share_{letter}": self.words.percent(self.figures.plain_shares[k][j]),
            }
        if head == _AGAIN:  # only a product itself speaks in this way, so there is one
            return self.words.say(f"reason.again.{kind}", **given)
        two = len(told) == 2
        return self.words.say(f"reason.{kind}.{'two' if two else 'one'}", why=self._why(head, two), **given)

    def notices(self, k: int) -> tuple[str, ...]:
        """What must be said of the product itself: its place was paid for, its price is personal, the reader has it already."""
        known = self.why.picks.details[k]
        keys = (("sponsored", "item.sponsored"), ("price_personalised", "item.priced"))
        said = [self.words.say(key) for flag, key in keys if known.get(flag)]
        if self.own[k] >= 0 and not self.why.past.hidden[self.own[k]]:
            what = self.details[self.own[k]]
            said.append(self.words.say("item.owned", what=what) if what else self.words.say("item.owned_plain"))
        return tuple(said)

    # -- what would change it, and on what it rests --------------------------------------------------------------

    def notes(self, k: int) -> tuple[str, ...]:
        """What would change it, on how many shoppers it rests, what is not shown, what counts against it."""
        told = self.told[k]
        notes = (*self._changes(k, told[0]), self._support(k, told), self._folded(k)) if told else ()
        return tuple(note for note in (*notes, *self._against(k)) if note)

    def _changes(self, k: int, j: int) -> tuple[str, ...]:
        """What the score would be without the strongest item, and without which items the product would leave the list."""
        found = self.why.counterfactuals[k] if self.why.counterfactuals else None
        if found is None:
            return (self._without(k, j),)
        if not found.items:
            key = "item.counterfactual_none" if found.minimal == "proven" else "item.counterfactual_not_found"
            return self._without(k, j), self.words.say(key, min(found.none_up_to, len(self.labels)))
        if found.items == (j,):  # both say "had it not counted": one sentence
            return (self._without(k, j, off_the_list=True),)
        return self._without(k, j), self._counterfactual(found)

    def _without(self, k: int, j: int, off_the_list: bool = False) -> str:
        """Leave-one-out: exact, since the score is a sum."""
        total, points = int(self.figures.total[k]), self.figures.plain_points[k][j]
        given = {
            "a": self.words.title(self.labels[j]),
            "before": self._points(total),
            "after": self._points(total - points),
        }
        if off_the_list:
            return self.words.say("item.counterfactual_score", len(self.why.scores), **given)
        return self.words.say("item.without", **given)

    def _points(self, points: int) -> str:
        return self.words.number(points / 10**self.figures.decimals, self.figures.decimals)

    def _counterfactual(self, found: Counterfactual) -> str:
        items = self.words.list([self.words.title(self.labels[j]) for j in found.items])
        smallest = found.minimal == "proven" and len(found.items) > 1
        key = "item.counterfactual_smallest" if smallest else "item.counterfactual"
        return self.words.say(key, len(self.why.scores), items=items)

    def _support(self, k: int, told: list[int]) -> str:
        counted = self.by_others[k]
        for j in sorted(told, key=lambda j: self._head_of(k, j) not in _BY_OTHERS):
            if counted[j] > 0 and self.why.support[k, j] > 0:
                key = "item.support_again" if j == self.own[k] else "item.support"
                return self.words.say(key, int(self.why.support[k, j]), a=self.words.title(self.labels[j]))
        return "" if any(counted) else self.words.say("item.support_content")

    def _folded(self, k: int) -> str:
        share = sum([share for share, hidden in zip(self.figures.plain_shares[k], self.hidden, strict=True) if hidden])
        return self.words.say("item.folded", share=self.words.percent(share)) if share >= _SECOND else ""

    def _against(self, k: int) -> tuple[str, ...]:
        """What lowers the score, in points as they are printed."""
        negative = np.flatnonzero(self.why.net[k] < 0).tolist()
        lost = sum([self.figures.plain_points[k][j] for j in negative])
        if lost >= 0:
            return ()
        said = self.words.say("item.against", len(negative), points=self._points(-lost))
        return (said, self.words.say("item.negative")) if self.figures.total[k] < 0 else (said,)
