"""Sparse times sparse where the answer is wanted dense."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

_Product = Callable[..., np.ndarray]


def by_scipy(left: sparse.csr_matrix, right: sparse.csr_matrix) -> np.ndarray:
    """``left @ right`` as a dense array, for every release of the libraries."""
    return np.asarray((left @ right).toarray())


def _pick() -> _Product:
    """The one-pass product of newer scikit-learn, where there is one.

    scipy goes through everything twice and builds a sparse answer first, which takes three times as long. Both add
    the parts of a number in the same order, so they give the same bits.
    """
    try:
        from sklearn.utils.sparsefuncs import sparse_matmul_to_dense
    except ImportError:  # an older scikit-learn
        return by_scipy
    product: _Product = sparse_matmul_to_dense
    return product


#: ``dense_product(left, right)``: two csr matrices of one float type, shapes (N, M) and (M, K), to an ndarray (N, K).
dense_product = _pick()
