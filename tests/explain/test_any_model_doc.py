"""The code of docs/any-model.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from reportgen import make_shop


def test_the_code_on_the_page_runs(repository: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (repository / "docs" / "any-model.md").read_text("utf-8"), re.DOTALL)
    shop = make_shop(30, 40, random_state=1)
    user = shop.events["user_id"].iloc[0]
    history = list(dict.fromkeys(shop.events.loc[shop.events["user_id"] == user, "item_id"]))
    attention = np.random.default_rng(0).dirichlet(np.ones(len(history) + 1))
    scope: dict[str, object] = {
        "events": shop.events, "items": shop.items, "user_id": user, "history": history, "attention": attention,
        "recommended": list(shop.items["item_id"][:5]), "affinity": lambda past, item: float(len(past)) + len(item),
    }  # fmt: skip
    for block in blocks:
        exec(compile(block, "any-model.md", "exec"), scope)
    assert str(scope["html"]).startswith("<!DOCTYPE html>")
    assert scope["why"].measured_by == "callback"  # type: ignore[attr-defined]
