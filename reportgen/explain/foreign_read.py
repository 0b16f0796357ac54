"""From a table of another model's weights to explanations: rows of one user become matrices, and the catalogue gives names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reportgen.attention.history import event_users
from reportgen.data.dataset import Dataset
from reportgen.data.weights import MARKER, PADDING, WeightTable
from reportgen.errors import InputError
from reportgen.explain.assembly import Shelf
from reportgen.explain.explanation import Past, Picks, Usage
from reportgen.explain.foreign import ForeignExplanation, ForeignModel, HowRead, Reading
from reportgen.explain.foreign_effects import Shown
from reportgen.explain.privacy import Privacy

#: Blocks of the catalogue that are matched, where it has them.
BLOCKS = ("category", "brand")


def takers(data: Dataset) -> np.ndarray:
    """People with an event on each item: int64, shape (I,)."""
    pairs = np.unique(event_users(data) * data.item_ids.size + data.items)
    return np.bincount(pairs % max(data.item_ids.size, 1), minlength=data.item_ids.size)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one user, as places among products and history items."""

    at: slice
    pick: np.ndarray  # place of each row's product, -1 beyond the first n
    item: np.ndarray  # codes of the K products
    slot: np.ndarray  # place of each row's history item, J for a marker, J + 1 for padding
    past: np.ndarray  # codes of the J history items


class ForeignReader:
    """Reads one user after another.

    Parameters
    ----------
    table : WeightTable
    data : Dataset
    as_of : int
    privacy : Privacy
    how : Reading
    model : ForeignModel
    """

    def __init__(
        self, table: WeightTable, data: Dataset, as_of: int, privacy: Privacy, how: Reading, model: ForeignModel
    ) -> None:
        self.table, self.data, self.as_of, self.privacy, self.how, self.model = table, data, as_of, privacy, how, model
        self.before, self.shelf = data.until(as_of), Shelf.of(data)
        self.popularity = takers(self.before)
        columns = data.catalogue.columns
        self.blocks = {name: data.catalogue[name].to_numpy(dtype=object) for name in BLOCKS if name in columns}
        self.n_heads, self.n_layers = max(1, len(table.heads)), max(1, len(table.layers))

    def one(self, user: int, n: int) -> ForeignExplanation:
        """The explanation of a user, nothing measured yet.

        Raises
        ------
        InputError
            The table has no usable row of this user.
        """
        rows, table = self.rows(user, n), self.table
        past = self._past(user, rows.past)
        codes, width = rows.past, rows.past.size
        cells = self.together(rows, table.weight, width)
        feature = table.feature[rows.at]
        split = {
            name: self.together(rows, np.where(feature == at, table.weight[rows.at], 0.0), width, True)[:, :width]
            for at, name in enumerate(table.features)
            if (feature == at).any()
        }
        events, outside = self._usage(user, codes)
        return ForeignExplanation(
            str(self.data.user_ids[user]), self.as_of, table.kind, past, self._picks(rows.item), cells[:, :width],
            cells[:, width], cells[:, width + 1], self._of_pick(rows, table.score), self._of_pick(rows, table.base),
            events, outside, self.model, self._how_read(),
            {name: self._texts(values, codes, past.hidden) for name, values in self.blocks.items()},
            {name: self._texts(values, rows.item) for name, values in self.blocks.items()}, split,
        )  # fmt: skip

    def _how_read(self) -> HowRead:
        several = self.table.kind == "attention"
        heads = self.how.heads if self.n_heads > 1 and several else ""
        layers = self.how.layers if self.n_layers > 1 and several else ""
        return HowRead(heads, layers, self.n_heads, self.n_layers, self.table.aggregation)

    def rows(self, user: int, n: int) -> Rows:
        table = self.table
        at = slice(int(table.indptr[user]), int(table.indptr[user + 1]))
        item = table.item[at]
        barred = self.privacy.barred
        closed = np.zeros(item.size, dtype=bool) if barred is None else barred[item]
        closed |= self.privacy.private_for(np.array(user), item)
        chosen = self._best(at, item, closed)[:n]
        if not chosen.size:
            told = "all its products are of a kind that is not shown" if item.size else "the weights have no row of it"
            raise InputError(f"this user has no product to explain: {told}")
        place = {int(code): k for k, code in enumerate(chosen)}
        pick = np.array([place.get(int(code), -1) for code in item], dtype=np.int64)
        history = table.history[at]
        mine = history[(pick >= 0) & (history >= 0)]
        past = self._newest_first(user, np.unique(mine))
        slots = {int(code): j for j, code in enumerate(past)} | {MARKER: past.size, PADDING: past.size + 1}
        slot = np.array([slots.get(int(code), -1) for code in history], dtype=np.int64)
        return Rows(at, pick, chosen, slot, past)

    def _best(self, at: slice, item: np.ndarray, closed: np.ndarray) -> np.ndarray:
        """Products in the order of the model: by rank, then score, then first row."""
        codes, first = np.unique(item[~closed], return_index=True)
        rows = np.flatnonzero(~closed)[first]
        rank, score = self.table.rank[at][rows], self.table.score[at][rows]
        by_rank, by_score = np.where(np.isnan(rank), np.inf, rank), np.where(np.isnan(score), np.inf, -score)
        return np.asarray(codes[np.lexsort((rows, by_score, by_rank))])

    def _newest_first(self, user: int, codes: np.ndarray) -> np.ndarray:
        """Items by their newest event; those without one last, by code."""
        mine = self.before.history(user)
        last = {int(item): at for at, item in enumerate(self.before.items[mine].tolist())}
        return np.array(sorted(codes.tolist(), key=lambda code: (-last.get(code, -1), code)), dtype=np.int64)

    def together(self, rows: Rows, weight: np.ndarray, width: int, own: bool = False) -> np.ndarray:
        """Positions, heads and layers put together: (K, J + 2); the last two are markers and padding."""
        table, at = self.table, rows.at
        value = weight if own else weight[at]
        head, layer = np.maximum(table.head[at], 0), np.maximum(table.layer[at], 0)
        size = (self.n_layers, self.n_heads, rows.item.size, width + 2)
        stack, there = np.zeros(size), rows.pick >= 0
        np.add.at(stack, (layer[there], head[there], rows.pick[there], rows.slot[there]), value[there])
        if table.kind == "contribution":
            return np.asarray(stack.sum(axis=(0, 1)))
        return self._layer(stack, head, layer, rows)

    def _layer(self, stack: np.ndarray, head: np.ndarray, layer: np.ndarray, rows: Rows) -> np.ndarray:
        """Attention of the chosen layers and heads; a head that a product has no row of is not counted in a mean."""
        there = np.zeros(stack.shape[:3], dtype=bool)
        named = rows.pick >= 0
        there[layer[named], head[named], rows.pick[named]] = True
        if self.how.heads == "max":
            stack, there = stack.max(axis=1, keepdims=True), np.asarray(there.any(axis=1, keepdims=True))
        elif self.how.heads != "mean":
            only = self.table.heads.index(self.how.heads)
            stack, there = stack[:, only : only + 1], there[:, only : only + 1]
        if self.how.layers == "last":  # of each product the last one that it has
            last = stack.shape[0] - 1 - np.asarray(there.any(axis=1))[::-1].argmax(axis=0)
            k = np.arange(last.size)
            stack, there = stack[last, :, k][None].swapaxes(1, 2), there[last, :, k][None].swapaxes(1, 2)
        elif self.how.layers != "mean":
            only = self.table.layers.index(self.how.layers)
            stack, there = stack[only : only + 1], there[only : only + 1]
        count = there.sum(axis=(0, 1))
        return np.asarray(stack.sum(axis=(0, 1)) / np.maximum(count, 1)[:, None])

    def _of_pick(self, rows: Rows, column: np.ndarray) -> np.ndarray:
        """A number of each product: of its first row."""
        pick = rows.pick.tolist()
        return np.array([column[rows.at][pick.index(k)] for k in range(rows.item.size)], dtype=np.float64)

    def _past(self, user: int, codes: np.ndarray) -> Past:
        before, mine = self.before, self.before.history(user)
        items = before.items[mine]
        date, count = np.zeros(codes.size, dtype=np.int64), np.zeros(codes.size, dtype=np.int64)
        kind = np.full(codes.size, "", dtype=object)
        for j, code in enumerate(codes.tolist()):
            events = np.flatnonzero(items == code)
            if events.size:
                at = mine.start + int(events[-1])
                date[j], count[j] = before.timestamps[at], events.size
                kind[j] = before.event_types[int(before.types[at])]
        hidden = np.zeros(codes.size, dtype=bool)
        if self.privacy.mode != "show":
            hidden = self.privacy.sensitive[codes] | self.privacy.private_for(np.array(user), codes)
        return Past(self.data.item_ids[codes], self.shelf.title[codes], date, count, kind, hidden)

    def _picks(self, codes: np.ndarray) -> Picks:
        details = tuple(self.shelf.facts(int(code)) for code in codes)
        return Picks(self.data.item_ids[codes], self.shelf.title[codes], self.popularity[codes], details)

    @staticmethod
    def _texts(values: np.ndarray, codes: np.ndarray, hidden: np.ndarray | None = None) -> tuple[str, ...]:
        found = [str(value) if isinstance(value, str) else "" for value in values[codes]]
        return tuple("" if hidden is not None and hidden[j] else text for j, text in enumerate(found))

    def _usage(self, user: int, codes: np.ndarray) -> tuple[Usage, int]:
        mine = self.before.history(user)
        items, times = self.before.items[mine], self.before.timestamps[mine]
        seen = np.isin(items, codes)
        if self.privacy.mode != "show":
            hidden = self.privacy.sensitive[items] | self.privacy.private_for(np.array(user), items)
        else:
            hidden = np.zeros(items.size, dtype=bool)
        told = times[seen & ~hidden]
        first, last = (int(told.min()), int(told.max())) if told.size else (None, None)
        later = self.data.history(user).stop - self.data.history(user).start - items.size
        outside = np.unique(items[~seen]).size
        return Usage(items.size, int(seen.sum()), 0, 0, later, first, last), outside

    def shown(self, why: ForeignExplanation, user: int) -> Shown:
        """What the model was shown: the table's positions where it has them, else the user's events on these items."""
        place = {str(item): j for j, item in enumerate(why.past.item_id)}
        at = slice(int(self.table.indptr[user]), int(self.table.indptr[user + 1]))
        position, history = self.table.position[at], self.table.history[at]
        if not np.isnan(position).any():
            pairs = sorted({(float(p), int(h)) for p, h in zip(position, history, strict=True) if h >= 0})
            ids = [str(self.data.item_ids[code]) for _, code in pairs]
        else:
            ids = [str(item) for item in self.data.item_ids[self.before.items[self.before.history(user)]]]
        ids = [item for item in ids if item in place]
        slot = np.array([place[item] for item in ids], dtype=np.int64)
        return Shown(why.user_id, tuple(ids), slot, tuple(str(item) for item in why.picks.item_id))
