"""A small BERT4Rec (Sun et al., CIKM 2019) on `transformers`' own BERT: items for words, the next one asked for by a mask at the end."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import _one_thread
import numpy as np
import torch
from torch.nn import functional as fn

from reportgen import Dataset
from reportgen.extract.torch import read_attentions

INSTALL = "pip install transformers"
#: Numbers: 0 padding, 1 the mask, items from 2.
_MASK, _FIRST, _CHUNK, _BATCH = 1, 2, 128, 64


def installed() -> bool:
    """Whether transformers is there."""
    return find_spec("transformers") is not None


@dataclass(frozen=True, eq=False)
class Trained:
    """A ``BertForMaskedLM`` over items."""

    model: Any
    n_items: int

    def logits(self, codes: np.ndarray) -> np.ndarray:
        """From histories (B, T), -1 for none on the left, to scores float32 (B, I)."""
        with torch.no_grad():
            parts = [self._run(codes[at : at + _CHUNK]).logits[:, -1] for at in range(0, len(codes), _CHUNK)]
        return torch.cat(parts).numpy()[:, _FIRST:]

    def attention(self, codes: np.ndarray) -> np.ndarray:
        """Weights of one history (1, T) without padding, the mask the last: float32 (L, H, T + 1, T + 1)."""
        n_real = int((codes >= 0).sum())
        with torch.no_grad():
            seen = read_attentions(self._run(codes[:, codes.shape[1] - n_real :], output_attentions=True))
        return seen.stack()

    def _run(self, codes: np.ndarray, **more: Any) -> Any:
        numbers = torch.from_numpy(asked(codes))
        return self.model(numbers, attention_mask=(numbers > 0).long(), position_ids=places(numbers), **more)


def asked(codes: np.ndarray) -> np.ndarray:
    """Numbers of the items, and the mask behind."""
    numbers = np.where(codes >= 0, codes + _FIRST, 0)
    return np.column_stack([numbers, np.full(len(codes), _MASK)])


def places(numbers: torch.Tensor) -> torch.Tensor:
    """How far each position is from the end, so that the same history has the same places however it is padded."""
    return torch.arange(numbers.shape[1] - 1, -1, -1).expand_as(numbers)


def train(data: Dataset, most: int, steps: int, seed: int) -> Trained:
    """Learn to fill in what was masked: the last position half of the time, as it will be asked, else one of five.

    Parameters
    ----------
    data : Dataset
    most : int
        Newest items that are shown.
    steps, seed : int
    """
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(seed)
    torch.set_num_threads(_one_thread.THREADS)
    n_items = data.item_ids.size
    config = BertConfig(
        vocab_size=n_items + _FIRST, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128,
        max_position_embeddings=most + 1, type_vocab_size=1, pad_token_id=0, attn_implementation="eager",
    )  # fmt: skip
    model, rng = BertForMaskedLM(config), np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    users = np.flatnonzero(np.diff(data.indptr) >= 2)
    model.train()
    for _ in range(steps):
        numbers, wanted = _masked(_windows(data, rng.choice(users, _BATCH), most + 1, rng), rng)
        hidden = model.bert(
            numbers, attention_mask=(numbers > 0).long(), position_ids=places(numbers)
        ).last_hidden_state
        there = wanted >= 0
        loss = fn.cross_entropy(model.cls(hidden[there]), wanted[there])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return Trained(model.eval(), n_items)


def _windows(data: Dataset, users: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """A piece of each user's history that ends somewhere: numbers (B, most), 0 on the left."""
    start, length = data.indptr[users], np.diff(data.indptr)[users]
    stop = start + 2 + (rng.random(users.size) * (length - 1)).astype(np.int64)
    event = stop[:, None] - most + np.arange(most)
    return np.where(event >= start[:, None], data.items[np.maximum(event, 0)] + _FIRST, 0)


def _masked(numbers: np.ndarray, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """What is shown, and what is to be said: -1 where nothing is asked."""
    hide = (rng.random(numbers.shape) < 0.2) & (numbers > 0)
    as_asked = rng.random(len(numbers)) < 0.5
    hide[as_asked] = False
    hide[as_asked, -1] = True
    wanted = torch.from_numpy(np.where(hide, numbers, -1).astype(np.int64))
    return torch.from_numpy(np.where(hide, _MASK, numbers).astype(np.int64)), wanted
