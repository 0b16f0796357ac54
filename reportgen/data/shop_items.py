"""The catalogue of the synthetic shop: its items, and what each planted cause leads to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from reportgen.data.shop_words import AISLES, SPEC, TAGS

Array = np.ndarray[Any, Any]

PRICE_RATIO = 1.2  # a similar price is at most this factor away


class Catalogue:
    """The items, and for each cause and source item the run of ``members`` that the cause leads to."""

    def __init__(self, n_items: int, rng: np.random.Generator) -> None:
        self.frame, self.successor, self.consumable = _make_items(n_items, rng)
        self.brand = pd.factorize(self.frame["brand"])[0]
        self.complements = _make_complements(self.frame["category"].to_numpy(object), rng)
        popularity = 1.0 / (rng.permutation(n_items) + 10.0) ** 0.8
        every, price = np.arange(n_items), self.frame["price"].to_numpy()
        by_price = np.argsort(price, kind="stable")
        tags = [(tag, item) for item, own in enumerate(self.frame["tags"]) for tag in own]
        first_tag = np.array([own[0] for own in self.frame["tags"]], dtype=object)
        runs = [
            (every, 0 * every, 0 * every + n_items),
            (self.complements.ravel(), 3 * every, 3 * every + 3),
            (self.successor, every, every + (self.successor >= 0)),
            _grouped(self.frame["category"].to_numpy(object), every, self.frame["category"].to_numpy(object)),
            _grouped(self.frame["brand"].to_numpy(object), every, self.frame["brand"].to_numpy(object)),
            (
                by_price,
                *(np.searchsorted(price[by_price], edge) for edge in (price / PRICE_RATIO, price * PRICE_RATIO)),
            ),
            _grouped(np.array([tag for tag, _ in tags], dtype=object), np.array([item for _, item in tags]), first_tag),
            (every, every, every + self.consumable),
        ]
        offset = np.cumsum([0] + [len(members) for members, _, _ in runs[:-1]])[:, None]
        self.lo, self.hi = (np.stack([run[side] for run in runs]) + offset for side in (1, 2))
        self.members = np.concatenate([members for members, _, _ in runs])
        self.upto = np.concatenate(([0.0], np.cumsum(popularity[self.members])))

    def draw(self, cause: Array, source: Array, rng: np.random.Generator) -> Array:
        """Draw one item per row, by popularity, among those the cause leads to from the source."""
        lo, hi = self.lo[cause, source], self.hi[cause, source]
        point = self.upto[lo] + rng.random(len(lo)) * (self.upto[hi] - self.upto[lo])
        drawn: Array = self.members[np.clip(np.searchsorted(self.upto, point, "right") - 1, lo, hi - 1)]
        return drawn

    def pairs(self) -> pd.DataFrame:
        ids, starter = self.frame["item_id"].to_numpy(object), np.flatnonzero(self.successor >= 0)
        source = np.concatenate([np.repeat(np.arange(len(ids)), 3), starter])
        target = np.concatenate([self.complements.ravel(), self.successor[starter]])
        kind = np.repeat(["together", "next"], [3 * len(ids), len(starter)])
        return pd.DataFrame({"item_id": ids[source], "kind": kind, "other_item_id": ids[target]})


def _grouped(keys: Array, members: Array, wanted: Array) -> tuple[Array, Array, Array]:
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    return members[order], np.searchsorted(ranked, wanted, "left"), np.searchsorted(ranked, wanted, "right")


def _make_complements(category: Array, rng: np.random.Generator) -> Array:
    complements = np.empty((len(category), 3), dtype=np.int64)
    shelf = {name[0]: np.flatnonzero(category == name) for name, *_ in AISLES}
    for name, goes_with, *_ in AISLES:
        for column, initial in enumerate(goes_with):
            own = shelf[name[0]]
            complements[own, column] = rng.choice(shelf[initial], len(own))
    return complements


def _make_items(n_items: int, rng: np.random.Generator) -> tuple[pd.DataFrame, Array, Array]:
    """Return the items, the item each one leads on to (-1: none), and whether it is used up."""
    rows, specs = [], []
    for number in rng.permutation(n_items):
        k, aisle = divmod(int(number), len(AISLES))
        category, _, brands, lines, shelf = (part.split("|") for part in AISLES[aisle])
        name, price, flags, follow_on = SPEC.findall(shelf[k % len(shelf)])[0]
        edition, turn = divmod(k // len(shelf), len(lines))
        line = (turn + 5 * (k % len(shelf))) % len(lines)
        title = f"{lines[line]} {name}" + (f", Edition {edition + 1}" if edition else "")
        exact = float(price) * (0.8 + 0.05 * line) * rng.lognormal(0.0, 0.1)
        tags, brand = (
            [str(tag) for tag in rng.choice(TAGS, rng.integers(2, 4), replace=False)],
            str(rng.choice(brands)),
        )
        about = f"{title} by {brand}. Chosen for: {', '.join(tags)}." if rng.random() < 0.7 else None
        sponsored = bool(rng.random() < 0.03)
        rows.append((title, category[0], brand, round(exact) - 0.1, "EUR", tags, about, "!" in flags, sponsored))
        specs.append((name, follow_on, "*" in flags))
    columns = ["title", "category", "brand", "price", "currency", "tags", "description", "sensitive", "sponsored"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["description"] = pd.Series([row[6] for row in rows], dtype="object")  # None stays None
    frame.insert(0, "item_id", labels("i", np.arange(1, n_items + 1), 5))
    return frame, _successors(specs, frame["price"].to_numpy(), rng), np.array([used for _, _, used in specs])


def _successors(specs: list[tuple[str, str, bool]], price: Array, rng: np.random.Generator) -> Array:
    """Per item a follow-on product where there is one, else the next dearer item of the same kind, else -1."""
    shelf: dict[str, list[int]] = {}
    for item in np.argsort(price, kind="stable"):
        shelf.setdefault(specs[item][0], []).append(int(item))
    successor = np.full(len(specs), -1)
    for item, (name, follow_on, _) in enumerate(specs):
        place = shelf[name].index(item) + 1
        if follow_on in shelf:
            successor[item] = rng.choice(shelf[follow_on])
        elif place < len(shelf[name]):
            successor[item] = shelf[name][place]
    return successor


def labels(prefix: str, numbers: Array, width: int) -> Array:
    return np.char.add(prefix, np.char.zfill(numbers.astype(np.str_), width)).astype(object)
