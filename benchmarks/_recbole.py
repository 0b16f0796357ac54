"""RecBole's own SASRec, trained by RecBole's own trainer on the events of a `Dataset`.

RecBole 1.2.1 asks NumPy for three names that NumPy 2 has no more. `with_aliases` gives them back before RecBole is loaded, to this
process alone; nothing else of it is changed. It is installed without its dependencies, since it pins an old `ray` that only its
search for settings needs.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import tempfile
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import _one_thread
import numpy as np
import pandas as pd
import torch

from reportgen import Dataset
from reportgen.extract.torch import watch_attention

INSTALL = (
    "pip install --no-deps recbole==1.2.1 && "
    "pip install colorlog==4.7.2 colorama==0.4.4 tqdm pyyaml scikit-learn texttable tabulate tensorboard thop psutil"
)
_CHUNK = 128


def installed() -> bool:
    """Whether RecBole is there."""
    return find_spec("recbole") is not None


def with_aliases() -> None:
    """Names that NumPy had before 2.0, each for the type that it stood for."""
    for old, new in (("float_", "float64"), ("complex_", "complex128"), ("unicode_", "str_")):
        if not hasattr(np, old):
            setattr(np, old, getattr(np, new))


@dataclass(frozen=True, eq=False)
class Trained:
    """A model of RecBole and the way from our item codes to its numbers.

    Attributes
    ----------
    model : recbole.model.sequential_recommender.SASRec
    number : ndarray of int64, shape (I,)
        RecBole's number of each item; 0 where it has never seen it.
    own : dict of str to float
        What RecBole's evaluation says on its own test part, the newest event of each user; seen items may be recommended there.
    """

    model: Any
    number: np.ndarray
    own: dict[str, float]

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """From histories (B, T), -1 for none on the left, to scores float32 (B, I); -inf for items it does not know."""
        with torch.no_grad():
            parts = [
                self.model.full_sort_predict(self._given(codes[at : at + _CHUNK]))
                for at in range(0, len(codes), _CHUNK)
            ]
        scores = torch.cat(parts).numpy()[:, self.number]
        return np.where(self.number > 0, scores, -np.inf)

    def attention(self, codes: np.ndarray) -> np.ndarray:
        """Weights of one history (1, T) without padding: float32 (L, H, T, T)."""
        n_real = int((codes >= 0).sum())
        with torch.no_grad(), watch_attention(self.model) as seen:
            self.model.full_sort_predict(self._given(codes))
        return seen.stack()[:, :, :n_real, :n_real]

    def _given(self, codes: np.ndarray) -> dict[str, torch.Tensor]:
        """RecBole pads on the right, to the same length always."""
        length = (codes >= 0).sum(axis=1)
        rows = np.zeros((len(codes), self.model.max_seq_length), dtype=np.int64)
        for row, (mine, n_real) in enumerate(zip(codes, length, strict=True)):
            rows[row, :n_real] = self.number[mine[mine.size - n_real :]]
        return {
            self.model.ITEM_SEQ: torch.from_numpy(rows),
            self.model.ITEM_SEQ_LEN: torch.from_numpy(length.astype(np.int64)),
        }


def train(data: Dataset, places: int, epochs: int, seed: int) -> Trained:
    """RecBole's SASRec (2 layers, 2 heads, width 64), the best of so many epochs on its validation part.

    The inner layer is as wide as the rest and dropout is 0.2, as in the paper for MovieLens, and steps are twice RecBole's usual
    ones: minutes of training have to do.

    Parameters
    ----------
    data : Dataset
        RecBole leaves out the newest event of each user for its test and the one before for its validation.
    places, epochs, seed : int
    """
    with_aliases()
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.trainer import Trainer
    from recbole.utils import get_model, init_seed

    logging.getLogger().setLevel(logging.ERROR)
    torch.set_num_threads(_one_thread.THREADS)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), warnings.catch_warnings():
        # It writes logs to where it stands, and the tables that it handles the old way have no missing value to lose.
        warnings.simplefilter("ignore")
        _write(data, Path(folder) / "data" / "events")
        config = Config("SASRec", "events", config_dict=_settings(places, epochs, seed))
        init_seed(seed, reproducibility=True)
        known = create_dataset(config)
        parts = data_preparation(config, known)
        model = get_model("SASRec")(config, parts[0].dataset)
        trainer, best = Trainer(config, model), _Best(model)
        trainer.fit(parts[0], parts[1], verbose=False, saved=False, callback_fn=best.look)
        model.load_state_dict(best.state)
        own = {key: float(value) for key, value in trainer.evaluate(parts[2], load_best_model=False).items()}
    tokens = known.field2token_id["item_id"]
    number = np.array([tokens.get(str(code), 0) for code in range(data.item_ids.size)], dtype=np.int64)
    return Trained(model.eval(), number, own)


class _Best:
    """The weights of the best epoch; RecBole's own file of them cannot be read by a PyTorch that loads nothing but weights."""

    def __init__(self, model: Any) -> None:
        self.model, self.score, self.state = model, -np.inf, model.state_dict()

    def look(self, epoch: int, score: float) -> None:  # noqa: ARG002
        if score > self.score:
            self.score, self.state = score, copy.deepcopy(self.model.state_dict())


def _write(data: Dataset, stem: Path) -> None:
    """Events as RecBole's atomic file: item codes as tokens, the place in the user's history as time."""
    length = np.diff(data.indptr)
    stem.mkdir(parents=True)
    frame = pd.DataFrame(
        {
            "user_id:token": np.repeat(np.arange(length.size), length),
            "item_id:token": data.items,
            "timestamp:float": np.arange(data.items.size) - np.repeat(data.indptr[:-1], length),
        }
    )
    frame.to_csv(stem / f"{stem.name}.inter", sep="\t", index=False)


def _settings(places: int, epochs: int, seed: int) -> dict[str, Any]:
    return {
        "data_path": "data", "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "USER_ID_FIELD": "user_id", "ITEM_ID_FIELD": "item_id", "TIME_FIELD": "timestamp", "MAX_ITEM_LIST_LENGTH": places,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "metrics": ["Recall", "NDCG"], "topk": [10], "valid_metric": "NDCG@10", "train_neg_sample_args": None,
        "epochs": epochs, "train_batch_size": 256, "learning_rate": 2e-3, "inner_size": 64,
        "hidden_dropout_prob": 0.2, "attn_dropout_prob": 0.2, "seed": seed, "use_gpu": False, "show_progress": False, "state": "ERROR",
    }  # fmt: skip
