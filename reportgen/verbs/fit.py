"""``reportgen fit``: a model to keep."""

from __future__ import annotations

import argparse

from reportgen.verbs.door import DONE, Door
from reportgen.verbs.inputs import read_config, read_data
from reportgen.verbs.model import check_model_folder, fit_scorer, store_model


def run(given: argparse.Namespace, door: Door) -> int:
    """Fit a model and save it."""
    check_model_folder(given.model, given.overwrite)
    config = read_config(given)
    data, as_of = read_data(given, config, door)
    with door.console.stage("fit"):
        scorer = fit_scorer(data, config, as_of)
    made = store_model(scorer, given.model, given.overwrite)
    door.console.print(str(given.model))
    if not door.console.quiet:
        door.console.print(f"model {made} from {scorer.n_users_} users and {scorer.item_ids_.size} items")
    return DONE
