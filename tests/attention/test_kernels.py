"""The item-item kernel: against brute force, and its solver against scipy's non-negative least squares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, sparse

from reportgen.attention import kernels, nnls
from reportgen.attention.kernels import fit_together, user_item

SEEDS = st.integers(0, 2**31)


def random_taken(seed: int, n_users: int = 60, n_items: int = 12) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix((rng.random((n_users, n_items)) < rng.uniform(0.05, 0.6, n_items)).astype(np.float32))


@settings(max_examples=40)
@given(seed=SEEDS, min_support=st.integers(0, 8), neighbours=st.integers(1, 12))
def test_support_counts_users_and_weights_are_sound(seed: int, min_support: int, neighbours: int) -> None:
    taken = random_taken(seed)
    kernel = fit_together(taken, neighbours=neighbours, l2=5.0, min_support=min_support)
    weights, support = kernel.weights.toarray(), kernel.support.toarray()
    dense = taken.toarray() > 0
    assert (weights >= 0).all()
    assert np.isfinite(weights).all()
    assert not weights.diagonal().any()
    assert not support.diagonal().any()
    assert np.array_equal(kernel.weights.indices, kernel.support.indices)
    assert ((weights > 0).sum(axis=0) <= neighbours).all()
    for j, i in zip(*np.nonzero(weights), strict=True):
        assert support[j, i] == (dense[:, j] & dense[:, i]).sum()
        assert support[j, i] >= max(min_support, 1)


def test_a_pair_below_the_floor_does_not_enter() -> None:
    """Four users took both: enough for a floor of 4, too few for 5."""
    taken = sparse.csr_matrix(np.repeat([[1, 1, 0], [0, 0, 1]], [4, 6], axis=0).astype(np.float32))
    assert fit_together(taken, min_support=4).weights[0, 1] > 0
    assert fit_together(taken, min_support=5).weights.nnz == 0


@settings(max_examples=25)
@given(seed=SEEDS, l2=st.sampled_from([1.0, 5.0, 30.0]))
def test_the_batch_solver_agrees_with_scipy(seed: int, l2: float) -> None:
    """``min |x - Xw|^2 + l2 |w|^2`` is plain least squares on [X; sqrt(l2) I], which scipy solves one by one."""
    rng = np.random.default_rng(seed)
    matrix, target = rng.random((3, 40, 6)), rng.normal(0.5, 1.0, (3, 40))
    cube = np.einsum("bnp,bnq->pbq", matrix, matrix).astype(np.float32)
    side = np.einsum("bnp,bn->bp", matrix, target).astype(np.float32)
    found = nnls._solve_batch(cube, side, l2)
    for b in range(3):
        augmented = np.vstack([matrix[b], np.sqrt(l2) * np.eye(6)])
        wanted = optimize.nnls(augmented, np.concatenate([target[b], np.zeros(6)]))[0]
        assert np.abs(found[b] - wanted).max() <= 1e-3


@settings(max_examples=15)
@given(seed=SEEDS)
def test_the_kernel_is_the_solution_of_its_problem(seed: int) -> None:
    """From the user-item matrix to the weights of one column, written out with dense matrices."""
    taken, l2 = random_taken(seed), 5.0
    kernel = fit_together(taken, neighbours=100, l2=l2, min_support=3)
    dense = taken.toarray().astype(float)
    length = dense.sum(axis=1)
    weight = np.divide(1.0, np.sqrt(length), out=np.zeros_like(length), where=length > 0)
    weight *= length.sum() / (weight * length).sum()
    both = (dense > 0).T.astype(int) @ (dense > 0)
    for i in range(dense.shape[1]):
        near = [j for j in range(dense.shape[1]) if j != i and both[j, i] >= 3]
        if near:
            rows = np.sqrt(weight)[:, None] * dense
            augmented = np.vstack([rows[:, near], np.sqrt(l2) * np.eye(len(near))])
            wanted = optimize.nnls(augmented, np.concatenate([rows[:, i], np.zeros(len(near))]))[0]
            assert np.abs(kernel.weights[near, i].toarray().ravel() - wanted).max() <= 1e-3


def test_dense_and_sparse_ways_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = random_taken(9, 80, 20)
    dense = fit_together(taken, neighbours=7, min_support=2)
    pairs = kernels.count_pairs(taken, 2)
    monkeypatch.setattr(nnls, "DENSE_ITEMS", 0)
    slow = fit_together(taken, neighbours=7, min_support=2, pairs=pairs)
    assert dense.weights.nnz > 20
    assert np.allclose(dense.weights.toarray(), slow.weights.toarray(), atol=1e-6)


def test_a_ridge_of_zero_gives_numbers() -> None:
    weights = fit_together(random_taken(4), l2=0.0, min_support=5).weights
    assert np.isfinite(weights.data).all()


def test_people_with_long_histories_have_less_say() -> None:
    """A and B are taken together by 20 people who took little, A and C by 20 people who took everything."""
    few, many = np.zeros((20, 30)), np.ones((20, 30))
    few[:, [0, 1]] = 1
    many[:, 1] = 0
    kernel = fit_together(sparse.csr_matrix(np.vstack([few, many]).astype(np.float32)), l2=30.0)
    assert kernel.weights[0, 1] > 2 * kernel.weights[0, 2]


def test_a_purchase_that_was_returned_is_not_taken() -> None:
    row, item, value = np.array([0, 0, 1, 2, 2]), np.array([0, 0, 0, 0, 0]), np.array([1.0, -1.0, 1.0, 1.0, 1.0])
    assert user_item(row, item, value, (3, 1)).toarray().ravel().tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("shape", [(0, 3), (3, 1), (1, 5)])
def test_empty_and_tiny_matrices(shape: tuple[int, int]) -> None:
    kernel = fit_together(sparse.csr_matrix(np.ones(shape, dtype=np.float32)))
    assert kernel.weights.shape == (shape[1], shape[1])
    assert kernel.weights.nnz == 0


def test_ties_do_not_depend_on_the_order_of_users() -> None:
    taken = random_taken(2)
    turned = taken[np.random.default_rng(0).permutation(taken.shape[0])]
    one, two = fit_together(taken, neighbours=3), fit_together(turned, neighbours=3)
    assert np.array_equal(one.weights.indices, two.weights.indices)
    assert np.allclose(one.weights.data, two.weights.data, atol=1e-5)


def test_the_solver_stands_much_likeness() -> None:
    """A hundred items that share a third of their buyers: thirty sweeps would be 0.004 off."""
    rng = np.random.default_rng(0)
    base = rng.random((2000, 1)) < 0.3
    matrix = np.where(rng.random((2000, 101)) < 0.3, base, rng.random((2000, 101)) < 0.2).astype(float)
    gram = matrix.T @ matrix
    found = nnls._solve_batch(gram[:100, None, :100].astype(np.float32), gram[None, 100, :100].astype(np.float32), 30.0)
    augmented = np.vstack([matrix[:, :100], np.sqrt(30.0) * np.eye(100)])
    wanted = optimize.nnls(augmented, np.concatenate([matrix[:, 100], np.zeros(100)]))[0]
    assert (wanted > 1e-6).sum() > 10
    assert np.abs(found[0] - wanted).max() <= 1e-3
