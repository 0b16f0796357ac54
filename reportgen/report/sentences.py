"""The sentences of a report: what they say follows from the numbers, and nothing else. The rules are in docs/words.md."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate

from reportgen.explain.explanation import Counterfactual, Explanation
from reportgen.explain.privacy import FOLDED
from reportgen.report.columns import AGAIN, BY_OTHERS, Figures
from reportgen.report.ledgers import Told, head_label
from reportgen.report.words import Words, name

#: A second reason, and what is not shown, are told when they have at least this share, in whole percent.
_SECOND = 10
#: "A few items decided this": at most this many make up at least half.
_FEW = 3


class Teller:
    """Tells one explanation in one language.

    Parameters
    ----------
    why : Explanation
    figures : Figures
    told : Told
        What the history items are called, and the kinds of evidence.
    hidden : list of bool
        History items without a name here.
    feature_labels : dict
        The operator's names for features of his own.
    """

    def __init__(
        self, why: Explanation, figures: Figures, told: Told, hidden: list[bool], feature_labels: dict[str, str]
    ) -> None:
        self.why, self.figures, self.words, self.labels, self.details = (
            why,
            figures,
            told.words,
            told.labels,
            told.details,
        )
        self.feature_labels, self.hidden, self.long_columns = feature_labels, hidden, told.long_columns
        self.unnamed = [j for j, folded in enumerate(hidden) if folded]
        self.heads = [why.model.heads[h] for h in figures.heads]
        place = {item: j for j, item in enumerate(why.past.item_id.tolist())}
        #: Where each recommended item stands in the history, -1 where it does not.
        self.own = [place.get(item, -1) for item in why.picks.item_id.tolist()]
        self.kinds = why.past.event_type.tolist()
        #: Of each recommended item, the history items that its sentence names, strongest first.
        self.told = [
            [j for least, j in zip((1, _SECOND), reasons, strict=False) if shares[j] >= least]
            for reasons, shares in zip(figures.reasons, figures.plain_shares, strict=True)
        ]

    # -- the list as a whole -------------------------------------------------------------------------------------

    def lead(self) -> str:
        """The list in one paragraph."""
        why, say = self.why, self.words.say
        if len(why.scores) == 0:
            return say("lead.none")
        spoke = self.figures.speaking()
        if not spoke:
            return self._lead_without_history()
        told = self._sources(spoke)
        if self.heads != [FOLDED]:
            told.append(self._strongest_heads(spoke))
        silent = len(why.scores) - len(spoke)
        if silent:
            told.append(say("lead.some", silent))
        if sum(self.figures.base) > sum(map(sum, self.figures.points)):
            told.append(say("lead.popularity"))
        return self.words.join(told)

    def _lead_without_history(self) -> str:
        say, why = self.words.say, self.why
        if not why.base.any():
            return say("lead.nothing")
        if why.usage.used == 0:
            return say("lead.popular")
        return say("lead.popular_against" if (why.net < 0).any() else "lead.popular_history")

    def _sources(self, spoke: list[int]) -> list[str]:
        """From which items of the history it comes; also how much from those without a name here."""
        say, hidden = self.words.say, self.hidden
        weight = [share / len(spoke) for share in self.figures.weight]
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
        folded = self._mean_share(spoke, self.unnamed) if self.unnamed else 0
        return [*told, say("lead.folded", share=self._percent(folded))] if folded >= _SECOND else told

    def _mean_share(self, spoke: list[int], items: list[int]) -> float:
        """What share the items have together in print, on average over the products that the history speaks for."""
        shares = self.figures.plain_shares
        return sum([shares[k][j] for k in spoke for j in items]) / len(spoke)

    def _strongest_heads(self, spoke: list[int]) -> str:
        """The kind of evidence that counts most; all of them where their printed shares are the same."""
        weight, label = self.figures.head_weight, self.long_columns
        printed = [round(sum(column) / len(spoke)) for column in zip(*self.figures.head_shares, strict=True)]
        most = max(weight)
        best = weight.index(most)
        share = self._percent(printed[best])
        ties = [h for h, value in enumerate(printed) if value == printed[best]]
        if len(ties) < 2 or any(abs(weight[h] - most) > 1e-8 + 1e-9 * most for h in ties):
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
        return self.why.model.heads[self.figures.strongest[k * len(self.labels) + j]]

    def _reason(self, k: int, told: list[int], head: str) -> str:
        kinds = {self.kinds[j] for j in told}
        kind = kinds.pop() if len(kinds) == 1 else "mixed"
        title, percent, shares = self.words.title, self.words.percent, self.figures.plain_shares[k]
        given = {"a": title(self.labels[told[0]]), "share_a": percent(shares[told[0]])}
        if head == AGAIN:  # only a product itself speaks in this way, so there is one
            return self.words.say(_reason_key(self.words, "again", kind), **given)
        if len(told) == 2:
            given |= {"b": title(self.labels[told[1]]), "share_b": percent(shares[told[1]])}
        why = _because(self.words, head, len(told), self.feature_labels.get(head))
        return self.words.say(_reason_key(self.words, "two" if len(told) == 2 else "one", kind), why=why, **given)

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
        total, points = self.figures.total[k], self.figures.points[k][j]
        given = {
            "a": self.words.title(self.labels[j]),
            "before": self._points(total),
            "after": self._points(total - points),
        }
        if off_the_list:
            return self.words.say("item.counterfactual_score", len(self.why.scores), **given)
        return self.words.say("item.without", **given)

    def _points(self, points: int) -> str:
        return points_text(self.words, points, self.figures.decimals)

    def _counterfactual(self, found: Counterfactual) -> str:
        items = self.words.list([self.words.title(self.labels[j]) for j in found.items])
        smallest = found.minimal == "proven" and len(found.items) > 1
        key = "item.counterfactual_smallest" if smallest else "item.counterfactual"
        return self.words.say(key, len(self.why.scores), items=items)

    def _support(self, k: int, told: list[int]) -> str:
        at, say, own = k * len(self.labels), self.words.say, self.own[k]
        counted = self.figures.by_others[at : at + len(self.labels)]
        if len(told) == 2 and self._head_of(k, told[0]) not in BY_OTHERS and self._head_of(k, told[1]) in BY_OTHERS:
            told = [told[1], told[0]]
        for j in told:
            if counted[j] and (support := int(self.why.support[k, j])) > 0:
                return say(
                    "item.support_again" if j == own else "item.support", support, a=self.words.title(self.labels[j])
                )
        return "" if any(counted) else say("item.support_content")

    def _folded(self, k: int) -> str:
        shares = self.figures.plain_shares[k]
        share = sum([shares[j] for j in self.unnamed])
        return self.words.say("item.folded", share=self.words.percent(share)) if share >= _SECOND else ""

    def _against(self, k: int) -> tuple[str, ...]:
        """What lowers the score, in points as they are printed."""
        net, points = self.figures.net[k], self.figures.points[k]
        if min(net, default=0.0) >= 0:
            return ()
        negative = [j for j, value in enumerate(net) if value < 0]
        lost = sum([points[j] for j in negative])
        if lost >= 0:
            return ()
        said = self.words.say("item.against", len(negative), points=self._points(-lost))
        return (said, self.words.say("item.negative")) if self.figures.total[k] < 0 else (said,)


@lru_cache(maxsize=256)
def _reason_key(words: Words, form: str, kind: str) -> str:
    """The sentence for a kind of event, or for any kind where it has none of its own."""
    known = kind if f"reason.{kind}.one" in words else "mixed"
    return f"reason.again.{known}" if form == "again" else f"reason.{known}.{form}"


@lru_cache(maxsize=256)
def _because(words: Words, head: str, n: int, label: str | None) -> str:
    """Why `n` items speak for a product; `label` is the operator's name for a feature of his own."""
    known = head != "other" and f"because.{head}_one" in words
    key = f"because.{head if known else 'other'}{'' if n == 2 else '_one'}"
    own = {} if label is None else {head: label}
    return words.say(key, feature="" if known else name(head_label(words, head, own)))


@lru_cache(maxsize=16_384)
def points_text(words: Words, points: int, decimals: int) -> str:
    """Points, given in units of their last decimal, as they are printed."""
    return words.number(points / 10**decimals, decimals)
