"""Does attention name what moves a score? Three kinds of model beside random, and what looking costs.

    python benchmarks/foreign.py [--data ml-100k|shop] [--models NAME ...] [--quick] [--users N] [--seed N] [--wheel PATH]

Trained are SASRec, a score pooled by a softmax over the history (after NAIS), and our scorer, each without the newest event of
every user. Then the best new product of a user is scored again without each item of the history, one at a time: the exact
leave-one-out effects. Beside them stand what each model's attention says, the order of time, and a random order:

* tau: Kendall's tau-b with the effects, 1 is the same order, 0 none.
* top3: share of the three largest effects (of those above 0) among the three largest weights.

Where `implicit` is installed, its ALS is taken apart too, on whole histories: the contributions of its own formula stand beside
what solving again without the item gives. Every other model sees the newest 50 items of a user.

Models that libraries bring are named with `--models`: `recbole` is RecBole's SASRec, trained by RecBole's own trainer; `bert4rec` is
the BERT of `transformers` over items. One that is not installed is passed over, and the line says what to install. Their share
of held-out items among ten, for all users, stands beside that of the items taken most (`popularity`).

Overhead is the time of a forward pass that is watched divided by that of a plain one, in CPU seconds on one thread. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import _bert4rec
import _nais
import _one_thread
import _recbole
import numpy as np
import torch
from _quality_data import NoDataError, find_wheel, movielens, synthetic
from _sasrec import SASRec, padded

from reportgen import AttentionScorer, Dataset
from reportgen.attention.history import drop_events, looking_takes, strong_mask
from reportgen.explain.foreign_effects import kendall, softmax_effects, top_shared
from reportgen.explain.removal import Cases, net
from reportgen.explain.rollout import aggregate
from reportgen.extract.implicit import ReadALS
from reportgen.extract.torch import watch_attention

PLACES = 50
#: Of what a user took; of all else it is 1. With 1 a contribution of ALS is the loss exactly; 40 is that of Hu, Koren and Volinsky.
CONFIDENCES = (1, 40)
LAYERS = ("last", "mean", "rollout")
USUAL = ("sasrec", "nais", "ours", "als")
LIBRARIES = {"recbole": _recbole, "bert4rec": _bert4rec}


def of_events(data: Dataset, events: list[np.ndarray]) -> Dataset:
    """One made-up user for each set of events."""
    every = np.concatenate(events)
    indptr = np.concatenate([[0], np.cumsum([part.size for part in events])]).astype(np.int64)
    parts = {name: getattr(data, name)[every] for name in ("items", "timestamps", "types", "values", "orders")}
    users = data.users.iloc[np.zeros(len(events), dtype=np.int64)].reset_index(drop=True)
    names = np.array([f"{at:09d}" for at in range(len(events))], dtype=data.user_ids.dtype)
    users = users.assign(user_id=names) if "user_id" in users else users
    return replace(data, user_ids=names, indptr=indptr, users=users, **parts)


def shown_events(data: Dataset, user: int) -> np.ndarray:
    """Events of a user's newest items, each item once, oldest first."""
    mine = data.history(user)
    backwards = data.items[mine][::-1]
    _, first = np.unique(backwards, return_index=True)
    return np.sort(mine.stop - 1 - first)[-PLACES:]


@dataclass(frozen=True)
class Model:
    """What is asked of each: all scores of histories, one score of many histories, and strengths by name."""

    all_scores: Callable[[Dataset], np.ndarray]
    scores: Callable[[Dataset, int], np.ndarray]
    strengths: Callable[[Dataset, int], dict[str, np.ndarray]]


def sasrec_model(model: SASRec) -> Model:
    network = model.network_.eval()

    def hidden(data: Dataset) -> torch.Tensor:
        with torch.no_grad():
            return network(torch.from_numpy(padded(data, np.arange(data.user_ids.size), PLACES)))[:, -1]

    def strengths(data: Dataset, target: int) -> dict[str, np.ndarray]:  # noqa: ARG001
        with watch_attention(network) as seen:
            hidden(data)
        return {f"attention, {name}": aggregate(seen.stack(), name)[-1] for name in LAYERS}

    return Model(
        lambda data: network.logits(hidden(data)).detach().numpy(),
        lambda data, target: (hidden(data) @ network.items.weight[target].detach()).numpy(),
        strengths,
    )


def library_model(trained: _recbole.Trained | _bert4rec.Trained) -> Model:
    """The newest position is the last of the real ones; a mask behind them is no item, and has no place in the order."""

    def codes(data: Dataset) -> np.ndarray:
        return padded(data, np.arange(data.user_ids.size), PLACES)

    def strengths(data: Dataset, target: int) -> dict[str, np.ndarray]:  # noqa: ARG001
        mine = codes(data)
        found = trained.attention(mine)
        return {f"attention, {name}": aggregate(found, name)[-1, : mine.shape[1]] for name in LAYERS}

    return Model(
        lambda data: trained.logits(codes(data)),
        lambda data, target: trained.logits(codes(data))[:, target],
        strengths,
    )


def quality(data: Dataset, shown: list[np.ndarray], wanted: np.ndarray, model: Model, name: str) -> dict[str, float]:
    """Recall@10 and NDCG@10 of the held-out item over these users, beside the items that most users took."""
    asked = of_events(data, shown)
    counts = np.bincount(data.items, minlength=data.item_ids.size).astype(np.float64)
    found = {}
    for kind, scores in ((name, model.all_scores(asked)), ("popularity", np.tile(counts, (len(shown), 1)))):
        hit = best_new(scores, asked) == wanted[:, None]
        found[f"{kind}/recall@10"] = float(hit.any(axis=1).mean())
        found[f"{kind}/ndcg@10"] = float((hit / np.log2(np.arange(2, hit.shape[1] + 2))).sum(axis=1).mean())
    return found


def trained_by_library(
    name: str, whole: Dataset, data: Dataset, epochs: int, steps: int, seed: int
) -> _recbole.Trained | _bert4rec.Trained | None:
    """None, and a line that says so, where the library is not installed."""
    if not LIBRARIES[name].installed():
        print(f"{name}: passed over, its library is not installed ({LIBRARIES[name].INSTALL})")
        return None
    if name == "recbole":
        return _recbole.train(whole, PLACES, epochs, seed)
    return _bert4rec.train(data, PLACES, steps, seed)


def nais_model(network: _nais.NAIS) -> Model:
    n_items = network.bias.num_embeddings

    def ask(data: Dataset, candidates: np.ndarray) -> np.ndarray:
        codes = padded(data, np.arange(data.user_ids.size), PLACES)
        wide = torch.from_numpy(np.tile(candidates, (len(codes), 1)))
        with torch.no_grad():
            return network(torch.from_numpy(codes), wide).numpy()

    def strengths(data: Dataset, target: int) -> dict[str, np.ndarray]:
        codes, one = torch.from_numpy(padded(data, np.array([0]), PLACES)), torch.tensor([[target]])
        with torch.no_grad(), watch_attention(network, at="attention") as seen:
            network(codes, one)
            values = network.parts(codes, one)[1][0, 0].double().numpy()
        weights = seen.layers[0].weights[0, 0, 0].astype(np.float64)
        return {
            "attention": weights,
            "attention times value": weights * values,
            "closed form": softmax_effects(weights / weights.sum(), values),
        }

    def all_scores(data: Dataset) -> np.ndarray:
        return np.concatenate(
            [ask(of_events(data, [data_events(data, u)]), np.arange(n_items)) for u in range(data.user_ids.size)]
        )

    return Model(all_scores, lambda data, target: ask(data, np.array([target]))[:, 0], strengths)


def data_events(data: Dataset, user: int) -> np.ndarray:
    mine = data.history(user)
    return np.arange(mine.start, mine.stop)


def our_model(scorer: AttentionScorer) -> Model:
    def cases(data: Dataset, target: int) -> Cases:
        users = np.arange(data.user_ids.size)
        return Cases.make(scorer, data, users, np.full(users.size, target))

    def strengths(data: Dataset, target: int) -> dict[str, np.ndarray]:
        parts = cases(data, target).parts
        by_item = np.zeros(data.item_ids.size)
        by_item[parts.item] = net(parts)
        adds = by_item[data.items]
        return {"attention": np.maximum(adds, 0.0), "contributions": adds}

    def all_scores(data: Dataset) -> np.ndarray:
        found = np.full((data.user_ids.size, data.item_ids.size), -np.inf)
        codes, scores = scorer.recommend_codes(data, np.arange(data.user_ids.size), 10)
        rows = np.repeat(np.arange(len(codes)), codes.shape[1])[codes.ravel() >= 0]
        found[rows, codes.ravel()[codes.ravel() >= 0]] = scores.ravel()[codes.ravel() >= 0]
        return found

    return Model(all_scores, lambda data, target: cases(data, target).parts.score[:, 0], strengths)


def best_new(scores: np.ndarray, data: Dataset) -> np.ndarray:
    """The ten best items of each user that are not in the history and in the catalogue."""
    masked = np.where(data.catalogue["in_catalogue"].to_numpy(dtype=bool), scores.astype(np.float64), -np.inf)
    for user in range(data.user_ids.size):
        masked[user, data.items[data.history(user)]] = -np.inf
    return np.argsort(-masked, axis=1, kind="stable")[:, :10]


def measure(
    name: str, model: Model, data: Dataset, shown: list[np.ndarray], wanted: np.ndarray, seed: int
) -> dict[str, list[float]]:
    """Agreement of each strength with the exact effects, user by user."""
    lists = best_new(model.all_scores(of_events(data, shown)), of_events(data, shown))
    rng, found = np.random.default_rng(seed), dict[str, list[float]]()
    found[f"{name}/hit@10"] = (lists == wanted[:, None]).any(axis=1).astype(float).tolist()
    for events, target in zip(shown, lists[:, 0].tolist(), strict=True):
        without = [np.delete(events, at) for at in range(events.size)]
        scores = model.scores(of_events(data, [events, *without]), target).astype(np.float64)
        effects, newer = scores[0] - scores[1:], np.arange(events.size, dtype=np.float64)
        strengths = model.strengths(of_events(data, [events]), target)
        strengths |= {"recency": newer, "random": rng.random(events.size)}
        for kind, strength in strengths.items():
            found.setdefault(f"{name}/{kind}/tau", []).append(kendall(strength, effects))
            found.setdefault(f"{name}/{kind}/top3", []).append(top_shared(strength, effects, newer))
        if "closed form" in strengths:
            gap = np.abs(strengths["closed form"] - effects).max() / max(np.abs(effects).max(), 1e-12)
            found.setdefault(f"{name}/closed form/largest error", []).append(float(gap))
    return found


def overhead(network: torch.nn.Module, run: Callable[[], object], repeat: int) -> float:
    """CPU seconds watched over CPU seconds plain: the median of pairs that alternate."""

    def seconds(watched: bool) -> float:
        start = time.process_time()
        with torch.no_grad():
            if watched:
                with watch_attention(network):
                    run()
            else:
                run()
        return time.process_time() - start

    for watched in (False, True):
        seconds(watched)
    return float(np.median([seconds(True) / max(seconds(False), 1e-9) for _ in range(repeat)]))


def overheads(model: SASRec, repeat: int) -> dict[str, float]:
    layer = torch.nn.TransformerEncoderLayer(64, 2, 256, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    many = torch.nn.MultiheadAttention(64, 2, batch_first=True).eval()

    class Alone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.many = many

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.many(x, x, x, need_weights=False)[0]

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, PLACES, 64, generator=generator)
    codes = torch.randint(0, model.network_.items.padding_idx, (64, PLACES), generator=generator)
    given = {
        "sasrec": (model.network_.eval(), codes),
        "transformer_encoder": (encoder, x),
        "multihead_attention": (Alone().eval(), x),
    }
    return {f"overhead/{name}": overhead(part, partial(part, what), repeat) for name, (part, what) in given.items()}


def recbole_overhead(trained: _recbole.Trained, repeat: int) -> float:
    """The same on RecBole's SASRec, by the method that its users call."""
    numbers = torch.from_numpy(np.random.default_rng(0).integers(1, int(trained.number.max()) + 1, (64, PLACES)))
    lengths = torch.full((64,), PLACES)
    given = {trained.model.ITEM_SEQ: numbers, trained.model.ITEM_SEQ_LEN: lengths}
    return overhead(trained.model, partial(trained.model.full_sort_predict, given), repeat)


def als_figures(data: Dataset, users: np.ndarray, seed: int) -> dict[str, list[float]]:
    """Contributions of `implicit`'s ALS by its own formula beside what solving again gives; nothing without the package."""
    if find_spec("implicit") is None:
        return {}
    from _implicit import fit_als, taken

    found: dict[str, list[float]] = {}
    for confidence in CONFIDENCES:
        matrix, name = taken(data) * np.float32(confidence), f"als of confidence {confidence}"
        read = ReadALS(fit_als(matrix, 64), matrix, data.user_ids.tolist(), data.item_ids.tolist())
        rng = np.random.default_rng(seed)
        for user in users:
            parts = read.parts(str(data.user_ids[user]), 1)
            effects, newer = parts.effects[0], -parts.history.astype(np.float64)
            found.setdefault(f"{name}/relative error", []).append(parts.error)
            found.setdefault(f"{name}/stored score, distance", []).append(abs(float(parts.stored[0] - parts.scores[0])))
            for kind, strength in (("contributions", parts.contributions[0]), ("random", rng.random(effects.size))):
                found.setdefault(f"{name}/{kind}/tau", []).append(kendall(strength, effects))
                found.setdefault(f"{name}/{kind}/top3", []).append(top_shared(strength, effects, newer))
    return found


def newest_apart(data: Dataset) -> tuple[Dataset, np.ndarray]:
    """The data without the newest event of each user who has three or more, and that item, -1 for others."""
    length = np.diff(data.indptr)
    last = data.indptr[1:][length >= 3] - 1
    gone = np.zeros(data.items.size, dtype=bool)
    gone[last] = True
    wanted = np.full(length.size, -1)
    wanted[length >= 3] = data.items[last]
    return drop_events(data, gone), wanted


def summary(found: dict[str, list[float]]) -> Iterator[tuple[str, float]]:
    for key, values in found.items():
        known = np.array(values)[~np.isnan(values)]
        if key.endswith("largest error"):
            yield key.replace(" ", "_"), float(known.max())
            continue
        yield key.replace(", ", "_").replace(" ", "_"), float(known.mean()) if known.size else 0.0
        yield f"{key.replace(', ', '_').replace(' ', '_')}/se", float(known.std() / max(1, known.size) ** 0.5)


def table(figures: dict[str, float]) -> Iterator[str]:
    yield f"{'model and order':34}{'tau':>16}{'top3':>16}"
    for key in figures:
        if key.endswith("/tau"):
            stem = key.removesuffix("/tau")
            cells = (f"{figures[f'{stem}/{m}']:8.3f} ± {figures[f'{stem}/{m}/se']:.3f}" for m in ("tau", "top3"))
            yield f"{stem:34}" + "".join(f"{cell:>16}" for cell in cells)
    yield from (f"{key:34}{value:16.3g}" for key, value in figures.items() if "overhead" in key or key.endswith("@10"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["ml-100k", "shop"], default="ml-100k")
    parser.add_argument(
        "--models", nargs="+", choices=[*USUAL, *LIBRARIES], default=list(USUAL), metavar="NAME",
        help=f"{', '.join((*USUAL, *LIBRARIES))} (default: the first four)",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="few users, and models that have hardly learnt")
    parser.add_argument("--users", type=int, help="users asked about (200; 20 with --quick)")
    parser.add_argument("--epochs", type=int, help="of SASRec (40; 3 with --quick)")
    parser.add_argument("--steps", type=int, help="of NAIS and BERT4Rec (1500; 30 with --quick)")
    parser.add_argument("--recbole-epochs", type=int, help="of RecBole's SASRec (3; 1 with --quick)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wheel", type=Path)
    args = parser.parse_args()
    n_users, epochs, steps = (
        given or (small if args.quick else usual)
        for given, usual, small in ((args.users, 200, 20), (args.epochs, 40, 3), (args.steps, 1500, 30))
    )
    recbole_epochs = args.recbole_epochs or (1 if args.quick else 3)
    try:
        data = movielens(find_wheel(args.wheel)) if args.data == "ml-100k" else synthetic(300, 200)
    except NoDataError as error:
        parser.exit(1, f"{error}\n")
    whole = drop_events(data, ~(strong_mask(data, looking_takes(data)) & (data.values > 0)))
    data, wanted = newest_apart(whole)
    shown = [shown_events(data, user) for user in range(data.user_ids.size)]
    able = np.array([user for user, events in enumerate(shown) if events.size >= 4 and wanted[user] >= 0])
    chosen = np.sort(np.random.default_rng(args.seed).choice(able, min(n_users, able.size), replace=False))
    figures: dict[str, float] = {}
    asked, sasrec = [shown[user] for user in chosen], None
    for name in args.models:
        if name == "als":
            figures |= dict(summary(als_figures(data, chosen, args.seed)))
            continue
        if name in LIBRARIES:
            trained = trained_by_library(name, whole, data, recbole_epochs, steps, args.seed)
            if trained is None:
                continue
            model = library_model(trained)
            figures |= quality(data, [shown[user] for user in able], wanted[able], model, name)
            if name == "recbole":
                figures |= {f"recbole/by RecBole {key}".replace(" ", "_"): value for key, value in trained.own.items()}
                figures["overhead/recbole"] = recbole_overhead(trained, 5 if args.quick else 31)
        elif name == "sasrec":
            sasrec = SASRec(places=PLACES, epochs=epochs, random_state=args.seed).fit(data)
            model = sasrec_model(sasrec)
        elif name == "nais":
            codes = padded(of_events(data, shown), np.arange(len(shown)), PLACES)
            model = nais_model(_nais.train(codes, data.item_ids.size, steps, args.seed))
        else:
            few = {"max_users": 60} if args.quick else {}
            model = our_model(AttentionScorer(random_state=args.seed, **few).fit(data))
        figures |= dict(summary(measure(name, model, data, asked, wanted[chosen], args.seed)))
    if sasrec is not None:
        figures |= overheads(sasrec, 5 if args.quick else 31)
    for line in table(figures):
        print(line)
    conditions = {
        "data": args.data, "models": args.models, "recbole_epochs": recbole_epochs,
        "users": int(chosen.size), "places": PLACES, "epochs": epochs, "steps": steps, "seed": args.seed,
        "quick": args.quick, "threads": _one_thread.THREADS, "machine": platform.machine(), "python": platform.python_version(),
        "numpy": version("numpy"), "torch": version("torch"),
    }  # fmt: skip
    rounded = {key: round(value, 6) for key, value in figures.items()}
    print(json.dumps({"benchmark": "foreign", "figures": rounded, "conditions": conditions}))


if __name__ == "__main__":
    main()
