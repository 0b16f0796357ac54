"""A recommender whose score is pooled by a softmax over the history, after NAIS (He et al., IEEE TKDE 2018), short.

``score(u, i) = b_i + sum_j alpha_ij c_ij`` with ``c_ij = p_i' q_j`` and ``alpha = softmax_j(h' relu(W (p_i * q_j) + b))``. It differs
from the paper in two ways: the softmax is a whole one (their exponent beta is 1, so that weights sum to 1), and it learns by
cross-entropy over the wanted item and sampled ones.
"""

from __future__ import annotations

import _one_thread
import numpy as np
import torch
from torch import nn
from torch.nn import functional as fn

_SAMPLED, _BATCH = 31, 64


class NAIS(nn.Module):
    """Histories padded with -1 on any side; the order of events is of no account."""

    def __init__(self, n_items: int, width: int = 32, inner: int = 16) -> None:
        super().__init__()
        self.target, self.history = nn.Embedding(n_items, width), nn.Embedding(n_items, width)
        self.bias = nn.Embedding(n_items, 1)
        self.inner, self.outer = nn.Linear(width, inner), nn.Linear(inner, 1, bias=False)
        self.attention = nn.Softmax(dim=-1)
        nn.init.zeros_(self.bias.weight)
        for table in (self.target, self.history):
            nn.init.normal_(table.weight, std=0.1)

    def parts(self, codes: torch.Tensor, candidates: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From histories (B, T) and candidates (B, K) to weights and values, each (B, K, T)."""
        both = self.target(candidates)[:, :, None, :] * self.history(codes.clamp(min=0))[:, None, :, :]
        logits = self.outer(fn.relu(self.inner(both)))[..., 0].masked_fill((codes < 0)[:, None, :], -1e9)
        return self.attention(logits), both.sum(-1)

    def forward(self, codes: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """Scores (B, K)."""
        weights, values = self.parts(codes, candidates)
        return self.bias(candidates)[..., 0] + (weights * values).sum(-1)


def train(codes: np.ndarray, n_items: int, steps: int, seed: int = 0) -> NAIS:
    """Learn to tell one item of a user from sampled ones, by the user's other items.

    Parameters
    ----------
    codes : ndarray of int64, shape (U, T)
        Histories, -1 for none, padded on the left.
    n_items, steps, seed : int
    """
    torch.manual_seed(seed)
    torch.set_num_threads(_one_thread.THREADS)
    rng, model = np.random.default_rng(seed), NAIS(n_items)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-5)
    length = (codes >= 0).sum(axis=1)
    users = np.flatnonzero(length >= 2)
    for _ in range(steps):
        batch = rng.choice(users, _BATCH)
        shown, place = codes[batch].copy(), np.arange(_BATCH)
        hidden = codes.shape[1] - 1 - (rng.random(_BATCH) * length[batch]).astype(np.int64)
        wanted = shown[place, hidden]
        shown[place, hidden] = -1
        candidates = np.column_stack([wanted, rng.integers(0, n_items, (_BATCH, _SAMPLED))])
        scores = model(torch.from_numpy(shown), torch.from_numpy(candidates))
        # A sampled item that the user has is no wrong answer.
        own = (candidates[:, 1:, None] == codes[batch][:, None, :]).any(axis=2)
        scores[:, 1:][torch.from_numpy(own)] = -1e9
        loss = fn.cross_entropy(scores, torch.zeros(_BATCH, dtype=torch.int64))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()
