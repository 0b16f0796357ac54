"""Yardsticks of likeness between items: counted by hand, and compared with a full decomposition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

from reportgen.attention import similarity
from reportgen.attention.similarity import cosine_pairs, embed_items, embedding_pairs, taken_matrix
from reportgen.data.dataset import Dataset

Build = Callable[..., Dataset]


def test_cosines_are_as_counted_by_hand(build_data: Build) -> None:
    """A and B have two shoppers in common, of two and three; nobody took D, and a view is no taking."""
    data = build_data(
        {"u": [["A", "B"], ["A"]], "v": [["B"], ["A"]], "w": [["B", ("A", "view")]], "x": [["C", ("B", "return")]]},
        ["A", "B", "C", "D"],
    )
    taken = taken_matrix(data, looking=False)
    assert taken.toarray().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    found = cosine_pairs(taken, np.array([0, 0, 0, 1, 3]), np.array([1, 0, 2, 0, 3]))
    assert found == pytest.approx([2 / np.sqrt(6), 1.0, 0.0, 2 / np.sqrt(6), 0.0], abs=1e-6)


def random_rows(seed: int, shape: tuple[int, int]) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.random.default_rng(seed).random(shape) < 0.1).astype(np.float64))


@pytest.mark.parametrize("shape", [(200, 90), (90, 200), (20, 12)])
def test_an_embedding_is_the_best_of_its_size(shape: tuple[int, int]) -> None:
    rows = random_rows(0, shape)
    found = embed_items(rows, size=8)
    _, strength, right = np.linalg.svd(rows.toarray(), full_matrices=False)
    vectors = (strength[:8, None] * right[:8]).T
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.allclose(found @ found.T, vectors @ vectors.T, atol=1e-6)
    left, other = np.array([0, 3]), np.array([5, 3])
    assert embedding_pairs(found, left, other) == pytest.approx([vectors[0] @ vectors[5], 1.0], abs=1e-5)
    assert np.array_equal(found, embed_items(rows, size=8))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 3), (4, 1), (50, 40)])
def test_nothing_taken_and_single_rows(shape: tuple[int, int]) -> None:
    empty = embed_items(sparse.csr_matrix(shape), size=4)
    assert empty.shape[0] == shape[1]
    assert not empty.any()
    full = embed_items(sparse.csr_matrix(np.ones(shape)), size=4)
    assert full @ full.T == pytest.approx(np.full((shape[1], shape[1]), float(shape[0] > 0)))


def test_many_users_are_thinned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = random_rows(1, (60, 10))
    monkeypatch.setattr(similarity, "_MOST_USERS", 20)
    assert np.array_equal(embed_items(rows), embed_items(rows[::3]))
