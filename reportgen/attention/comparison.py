"""Our scorer beside known recommenders, each at its best on the data at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from reportgen.attention.evaluation import Evaluation, Recommender, TooLargeError, evaluate
from reportgen.attention.peers import ALS, EASE, Content, ItemKNN, Peer, Popularity, Random
from reportgen.attention.scorer import AttentionScorer
from reportgen.attention.splits import Split, split_cold, split_last_order
from reportgen.data.dataset import Dataset
from reportgen.errors import InputError

#: The name of our scorer among the others.
OURS = "ours"
#: What a peer's settings are chosen from; the first of equals wins.
GRIDS: dict[str, dict[str, Sequence[Any]]] = {
    "knn": {"neighbours": (100, 20), "shrinkage": (10.0, 0.0, 100.0)},
    "ease": {"l2": (100.0, 30.0, 300.0, 1000.0)},
    "ease_recency": {"half_life": (5.0, 1.5, 10.0, 20.0)},
    "als": {"factors": (64, 16), "l2": (1.0, 10.0)},
}
#: Users that choose them, and items above which a dense model is fitted once only, with the settings it comes with.
_JUDGES, _MOST_ITEMS = 1_000, 5_000
_DENSE = ("ease", "ease_recency")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    everything : Evaluation
        Each user's last order hidden, the whole catalogue competing.
    cold : Evaluation, optional
        Items nobody knows, ranked among themselves; None where these data cannot tell.
    cold_reason : str
        Why not, else "".
    chosen : dict of str to (dict of str to number)
        Settings of the peers, by name.
    tuned : dict of str to bool
        Whether they were chosen on these data.
    """

    everything: Evaluation
    cold: Evaluation | None
    cold_reason: str
    chosen: dict[str, dict[str, Any]] = field(default_factory=dict)
    tuned: dict[str, bool] = field(default_factory=dict)


def compare(
    scorer: AttentionScorer,
    data: Dataset,
    n: int = 10,
    max_users: int | None = None,
    random_state: int = 0,
    clock: Callable[[], float] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Judge a scorer and its peers on a data set.

    The peers' settings are chosen by NDCG on an order hidden from the training data, never on the one that judges. The
    scorer learns its weights in `fit` and keeps its settings.

    Parameters
    ----------
    scorer : AttentionScorer
        Is fitted, and left fitted on a part of the data.
    data : Dataset
    n : int
    max_users, random_state
        As in `split_last_order`.
    clock : callable, optional
        As in `evaluate`.
    say : callable
        Is told what comes next.

    Raises
    ------
    InputError
        Nobody has anything to find.
    """
    split = split_last_order(data, max_users, random_state)
    peers, tuned = choose_peers(split, n, random_state, say)
    say(f"judging {1 + len(peers)} recommenders by the last orders of {split.users.size:,} users")
    everything = evaluate({OURS: scorer, **peers}, split, n, clock)
    say("judging them on items that nobody knows yet")
    cold, reason = _cold(scorer, data, n, max_users, random_state, clock)
    chosen = {name: _settings(peer, name) for name, peer in peers.items() if name in everything.qualities}
    return Comparison(everything, cold, reason, chosen, {name: tuned[name] for name in chosen})


def _cold(
    scorer: AttentionScorer, data: Dataset, n: int, max_users: int | None, random_state: int,
    clock: Callable[[], float] | None,
) -> tuple[Evaluation | None, str]:  # fmt: skip
    """Joint purchases have nothing to say about new items, so content and chance are the peers here."""
    try:
        split = split_cold(data, max_users=max_users, random_state=random_state)
    except InputError as error:
        return None, str(error)
    named: dict[str, Recommender] = {OURS: scorer, "content": Content(scorer.features), "random": Random(random_state)}
    return evaluate(named, split, n, clock), ""


def choose_peers(
    split: Split, n: int, random_state: int, say: Callable[[str], None]
) -> tuple[dict[str, Peer], dict[str, bool]]:
    """All peers with the settings that rank best on a further order hidden from the training data."""
    try:
        inner = split_last_order(split.train, _JUDGES, random_state + 1)
    except InputError:  # nobody has a third order
        inner = None
    peers: dict[str, Peer] = {"popularity": Popularity(), "knn": ItemKNN(), "ease": EASE(), "ease_recency": EASE()}
    if ALS.is_there():
        peers["als"] = ALS(random_state=random_state)
    large = int((~split.cold).sum()) > _MOST_ITEMS
    tuned = dict.fromkeys(peers, False)
    peers["ease_recency"].set_params(half_life=GRIDS["ease_recency"]["half_life"][0])
    for name, grid in GRIDS.items():
        if name not in peers or inner is None or (large and name in _DENSE):
            continue
        say(f"choosing settings of {name}")
        if name == "ease_recency":
            peers[name].set_params(l2=peers["ease"].get_params()["l2"])
        best = tune(peers[name], grid, inner, n)
        peers[name].set_params(**best)
        tuned[name] = bool(best)
    return peers, tuned


def tune(peer: Peer, grid: Mapping[str, Sequence[Any]], split: Split, n: int = 10) -> dict[str, Any]:
    """The point of a grid with the highest NDCG@n, the first of equals; empty where the data do not suit the peer."""
    try:
        judged = [(evaluate(peer.set_params(**point), split, n).quality.ndcg.mean, point) for point in _points(grid)]
    except TooLargeError:
        return {}
    return max(judged, key=lambda found: found[0])[1]


def _points(grid: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    return (dict(zip(grid, values, strict=True)) for values in product(*grid.values()))


def _settings(peer: Peer, name: str) -> dict[str, Any]:
    given = peer.get_params()
    names = {"l2", *GRIDS["ease_recency"]} if name == "ease_recency" else set(GRIDS.get(name, ()))
    return {key: given[key] for key in sorted(names)}
