"""SASRec (Kang and McAuley, ICDM 2018), the usual neural yardstick for next-item recommendation, short and in good faith.

Causal self-attention over the last events of a user, one learnt vector per item for input and output. It differs from the
paper in three ways that make it stronger: cross-entropy over all items in place of one sampled negative (Klenitskiy and
Vasilev, RecSys 2023), normalisation before each sub-layer, and a normal start of small deviation for the vectors.
"""

from __future__ import annotations

from collections.abc import Callable

import _one_thread
import numpy as np
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional as fn

from reportgen import Dataset
from reportgen.attention.history import drop_events, strong_mask
from reportgen.attention.peers import Peer

_CHUNK = 128
#: Validation: asked every so many epochs, and how many answers in a row may bring nothing new.
EVERY, PATIENCE = 5, 4


class Network(nn.Module):
    """Histories padded on the left, so that the newest event always has the last place."""

    def __init__(self, n_items: int, width: int, layers: int, places: int, dropout: float) -> None:
        super().__init__()
        self.places = places
        self.items = nn.Embedding(n_items + 1, width, padding_idx=n_items)
        self.place = nn.Embedding(places, width)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(layers))
        self.last = nn.LayerNorm(width)
        for table in (self.items, self.place):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Item codes int64 (B, L), -1 for none, to float32 (B, L, d): what is expected after each event."""
        length, real = codes.shape[1], codes >= 0
        places = torch.arange(self.places - length, self.places)
        x = self.drop(
            self.items(torch.where(real, codes, self.items.padding_idx)) * self.items.embedding_dim**0.5
            + self.place(places)
        )
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        # A place always sees itself: a padded one would see nothing at all otherwise, and be NaN.
        sees = (causal & real[:, None, :]) | torch.eye(length, dtype=torch.bool)
        for block in self.blocks:
            x = block(x, sees)
        return self.last(x)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores of all items: float32 (N, I)."""
        return hidden @ self.items.weight[:-1].T


class Block(nn.Module):
    """One layer: attention with one head, then two dense layers, each with a short cut."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width), nn.Dropout(dropout)
        )
        self.dropout = dropout

    def forward(self, x: torch.Tensor, sees: torch.Tensor) -> torch.Tensor:
        query, key, value = self.query_key_value(self.before(x)).chunk(3, dim=-1)
        rate = self.dropout if self.training else 0.0
        x = x + self.out(fn.scaled_dot_product_attention(query, key, value, attn_mask=sees, dropout_p=rate))
        return x + self.dense(self.between(x))


class SASRec(Peer):
    """Fit on the order of each user's events; recommend what comes next.

    Parameters
    ----------
    width, layers, places : int
        Length of the vectors, self-attention layers, newest events that are read.
    dropout, rate : float
        Share of units left out in training; step size of Adam.
    epochs : int
        Passes over the users; with `watch`, at most so many.
    batch : int
        Users per step.
    watch : callable, optional
        Takes this object and gives its quality on validation users, higher is better. It is asked every `EVERY` epochs;
        training ends after `PATIENCE` answers without a new best, and ``best_epochs_`` holds the best one.
    random_state : int
    """

    def __init__(
        self,
        width: int = 64,
        layers: int = 2,
        places: int = 200,
        dropout: float = 0.3,
        rate: float = 1e-3,
        epochs: int = 40,
        batch: int = 32,
        watch: Callable[[SASRec], float] | None = None,
        random_state: int = 0,
    ) -> None:
        self.width, self.layers, self.places, self.dropout = width, layers, places, dropout
        self.rate, self.epochs, self.batch = rate, epochs, batch
        self.watch, self.random_state = watch, random_state

    def _learn(self, taken: sparse.csr_matrix, data: Dataset) -> None:  # noqa: ARG002
        torch.manual_seed(self.random_state)
        torch.set_num_threads(_one_thread.THREADS)
        data = self._only_taken(data)
        self.network_ = Network(data.item_ids.size, self.width, self.layers, self.places, self.dropout)
        optimiser = torch.optim.Adam(self.network_.parameters(), lr=self.rate, betas=(0.9, 0.98))
        shuffle = np.random.default_rng(self.random_state)
        users = np.flatnonzero(np.diff(data.indptr) >= 2)
        self.best_epochs_, best = 0, -np.inf
        for epoch in range(1, self.epochs + 1):
            self._epoch(data, self._batches(data, users, shuffle), optimiser)
            if self.watch is None or epoch % EVERY:
                continue
            quality = self.watch(self)
            if quality > best:
                best, self.best_epochs_ = quality, epoch
            if epoch - self.best_epochs_ >= PATIENCE * EVERY:
                break

    def _only_taken(self, data: Dataset) -> Dataset:
        return drop_events(data, ~(strong_mask(data, self.looking_takes_) & (data.values > 0)))

    def _history(self, data: Dataset, users: np.ndarray) -> np.ndarray:
        """Item codes of the last events, not a matrix of items: this peer reads their order."""
        return padded(self._only_taken(data), users, self.places)

    def _scores(self, history: np.ndarray, users: np.ndarray) -> np.ndarray:  # noqa: ARG002
        self.network_.eval()
        with torch.no_grad():
            parts = [
                self.network_.logits(self.network_(torch.from_numpy(history[at : at + _CHUNK]))[:, -1]).numpy()
                for at in range(0, len(history), _CHUNK)
            ]
        return np.concatenate(parts)

    def _batches(self, data: Dataset, users: np.ndarray, shuffle: np.random.Generator) -> list[np.ndarray]:
        """Users of about the same length together, so that little is padded; who is with whom changes every epoch."""
        length = np.minimum(np.diff(data.indptr)[users], self.places)
        order = users[np.argsort(length + shuffle.random(users.size) * 20)]
        batches = np.split(order, range(self.batch, order.size, self.batch))
        return [batches[k] for k in shuffle.permutation(len(batches))]

    def _epoch(self, data: Dataset, batches: list[np.ndarray], optimiser: torch.optim.Optimizer) -> None:
        self.network_.train()
        for batch in batches:
            codes = torch.from_numpy(padded(data, batch, self.places + 1))
            given, wanted = codes[:, :-1], codes[:, 1:]
            real = given >= 0
            loss = fn.cross_entropy(self.network_.logits(self.network_(given)[real]), wanted[real])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def padded(data: Dataset, users: np.ndarray, most: int) -> np.ndarray:
    """Item codes of the last events, oldest first, -1 on the left: int64, shape (B, longest)."""
    stop = data.indptr[users + 1]
    length = np.minimum(stop - data.indptr[users], most)
    wide = max(1, int(length.max(initial=0)))
    place = np.arange(wide)[None, :] - (wide - length)[:, None]
    codes = data.items[np.clip((stop - length)[:, None] + place, 0, max(0, data.items.size - 1))]
    return np.where(place >= 0, codes, -1).astype(np.int64)
