"""A made-up shop with another system's tables beside it: weights of a softmax-pooled model, its scores without single items, and lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sealed import call

from reportgen.data.dataset import Dataset
from reportgen.data.shop import make_shop

WEIGHTS = ["user_id", "item_id", "history_item_id", "weight", "rank", "score"]


def write_tables(folder: Path, users: int = 24, items: int = 40) -> list[str]:
    """Write all tables; return the words that name events, items and users.

    The model's score is ``sum(weight * value)`` over the items of a history, and without one of them the others' weights are divided by
    what is left: so ``ablation.csv`` is exact. ``parts.csv`` has the weights as contributions, which miss the score of one product.
    """
    shop = make_shop(users, items, random_state=2)
    frames = {name: getattr(shop, name) for name in ("events", "items", "users")}
    for name, frame in frames.items():
        plain = frame.map(lambda cell: ";".join(cell) if isinstance(cell, list | tuple) else cell)
        plain.to_csv(folder / f"{name}.csv", index=False)
    data, rng = Dataset.from_frames(*frames.values()), np.random.default_rng(0)
    first = data.item_ids[np.argsort(-np.bincount(data.items, minlength=data.item_ids.size))[:4]]
    weights, gone, lists = [], [], []
    for user in range(data.user_ids.size - 2):
        name = data.user_ids[user]
        seen = data.item_ids[list(dict.fromkeys(data.items[data.history(user)].tolist()))]
        for rank, item in enumerate(first if seen.size > 1 else (), start=1):
            alpha, value = rng.dirichlet(np.ones(seen.size)), rng.normal(size=seen.size)
            score = float(alpha @ value)
            weights += [(name, item, past, part, rank, score) for past, part in zip(seen, alpha, strict=True)]
            left = (score - alpha * value) / (1 - alpha)
            gone += [(name, item, past, without) for past, without in zip(seen, left, strict=True)]
            gone.append((name, item, "", score))
            lists.append((name, item, rank))
    pd.DataFrame(weights, columns=WEIGHTS).to_csv(folder / "weights.csv", index=False)
    parts = pd.DataFrame(weights, columns=WEIGHTS).assign(kind="contribution")
    parts["base"] = parts["score"] - parts.groupby(["user_id", "item_id"])["weight"].transform("sum")
    parts.loc[(parts["user_id"] == parts["user_id"][0]) & (parts["rank"] == 1), "score"] += 1.0
    parts.to_csv(folder / "parts.csv", index=False)
    pd.DataFrame(gone, columns=["user_id", "item_id", "removed_item_id", "score"]).to_csv(
        folder / "ablation.csv", index=False
    )
    pd.DataFrame(lists, columns=["user_id", "item_id", "rank"]).to_csv(folder / "lists.csv", index=False)
    return [word for name in frames for word in (f"--{name}", str(folder / f"{name}.csv"))]


def foreign_run(folder: Path) -> Path:
    """A run on weights with measured effects, for the judges of pages and PDFs."""
    folder.mkdir()
    words = write_tables(folder)
    (folder / "key").write_text("0123456789abcdef0123456789abcdef\n")
    (folder / "key").chmod(0o600)
    tables = ("--weights", folder / "weights.csv", "--ablation", folder / "ablation.csv", "--model-name", "SASRec <3>")
    usual = ("--format", "json", "--quiet", "--key-file", folder / "key", "--out", folder / "run")
    assert call("build", *words, *tables, *usual) == 0
    return folder / "run"
