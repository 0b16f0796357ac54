"""Catalogue columns become sparse feature blocks, one block per kind of evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, normalize

from reportgen.errors import ConfigError

#: Blocks that are built when the caller names none: column of the catalogue -> kind of encoder.
DEFAULT_FEATURES: dict[str, str] = {
    "category": "category",
    "brand": "category",
    "price": "price",
    "tags": "tags",
    "title": "text",
}
#: The heads that are no feature: people took both; they went on from one to the other; they took things like it; they
#: take it again.
TOGETHER, NEXT, VIA, AGAIN = "together", "next", "via", "again"
KINDS = ("category", "tags", "text", "price")

_WORD = re.compile(r"[^\W\d_][\w'-]*", re.UNICODE)
_CJK = re.compile(r"[\u3400-\u9fff\u3040-\u30ff\uac00-\ud7af]+")
_PRICE_KNOTS = 8


@dataclass(frozen=True)
class FeatureBlock:
    """One kind of content evidence about items.

    Attributes
    ----------
    name : str
        Name of the head that reads this block.
    kind : str
        ``category``, ``tags``, ``text`` or ``price``.
    matrix : csr_matrix of float32, shape (I, d)
        Non-negative rows of unit length (zero where the item has no such feature), so that the inner product of two
        rows is their cosine and lies in [0, 1].
    """

    name: str
    kind: str
    matrix: sparse.csr_matrix


def encode_features(
    catalogue: pd.DataFrame, features: Mapping[str, tuple[str, str]] | None = None
) -> list[FeatureBlock]:
    """Encode the columns of a catalogue.

    Parameters
    ----------
    catalogue : DataFrame with I rows
    features : mapping of name -> (column, kind), optional
        None takes the columns of `DEFAULT_FEATURES` that the catalogue has.

    Returns
    -------
    list of FeatureBlock
        A block that cannot tell items apart (empty or constant) is left out.
    """
    if features is None:
        features = {name: (name, kind) for name, kind in DEFAULT_FEATURES.items() if name in catalogue.columns}
    blocks = []
    for name, (column, kind) in features.items():
        _check_feature(name, column, kind, catalogue)
        matrix = _ENCODERS[kind](catalogue[column])
        if matrix is not None and _tells_apart(_canonical(matrix)):
            blocks.append(FeatureBlock(name, kind, _unit_rows(matrix)))
    return blocks


def _check_feature(name: str, column: str, kind: str, catalogue: pd.DataFrame) -> None:
    if name in (TOGETHER, NEXT, VIA, AGAIN):
        raise ConfigError(f"features: the name {name!r} is taken by a head of what shoppers took; choose another name")
    if kind not in KINDS:
        raise ConfigError(f"features: {name!r} has the unknown kind {kind!r}; a kind is one of {', '.join(KINDS)}")
    if column not in catalogue.columns:
        there = ", ".join(str(known) for known in catalogue.columns)
        raise ConfigError(f"features: {name!r} reads the column {column!r}, which the catalogue lacks; it has {there}")


def _canonical(matrix: sparse.spmatrix) -> sparse.csr_matrix:
    """Sorted, each entry once, no stored zeros: equal rows then have equal arrays."""
    matrix = sparse.csr_matrix(matrix, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _unit_rows(matrix: sparse.spmatrix) -> sparse.csr_matrix:
    return sparse.csr_matrix(normalize(sparse.csr_matrix(matrix, dtype=np.float64)), dtype=np.float32)


def _tells_apart(matrix: sparse.csr_matrix) -> bool:
    """True when at least two items differ: a feature that all items share can explain nothing."""
    if matrix.nnz == 0:
        return False
    width = np.diff(matrix.indptr)
    if (width != width[0]).any():
        return True
    columns, values = (part.reshape(-1, width[0]) for part in (matrix.indices, matrix.data))
    return bool((columns != columns[0]).any() or (values != values[0]).any())


def _category(column: pd.Series) -> sparse.csr_matrix | None:
    known = column.notna().to_numpy() & (column.astype("string").fillna("").str.len() > 0).to_numpy()
    if not known.any():
        return None
    text = column[known].astype(str).to_numpy(dtype=object).reshape(-1, 1)
    return _scatter(OneHotEncoder(sparse_output=True).fit_transform(text), known)


def _tags(column: pd.Series) -> sparse.csr_matrix | None:
    return _tfidf([_as_tags(cell) for cell in column], min_df=1)


def _text(column: pd.Series) -> sparse.csr_matrix | None:
    # A word of one single title joins nothing, so it would only lengthen the row.
    return _tfidf([_words(cell) for cell in column], min_df=2)


def _price(column: pd.Series) -> sparse.csr_matrix | None:
    """Overlapping triangular bins on the logarithm of the price (linear B-splines at quantiles)."""
    price = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    known = np.isfinite(price) & (price >= 0)
    log_price = np.log1p(price[known]).reshape(-1, 1)
    knots = np.unique(np.quantile(log_price, np.linspace(0, 1, _PRICE_KNOTS))) if known.any() else np.empty(0)
    if knots.size < 2:
        return None
    spline = SplineTransformer(degree=1, knots=knots.reshape(-1, 1), extrapolation="constant", sparse_output=True)
    return _scatter(spline.fit_transform(log_price), known)


def _scatter(rows: sparse.spmatrix, known: np.ndarray) -> sparse.csr_matrix:
    """Put encoded rows back to the places of their items; the others stay zero."""
    places = np.flatnonzero(known)
    put = sparse.csr_matrix((np.ones(places.size), (places, np.arange(places.size))), shape=(known.size, places.size))
    return sparse.csr_matrix(put @ rows)


def _tfidf(documents: list[list[str]], min_df: int) -> sparse.csr_matrix | None:
    try:
        encoder = TfidfVectorizer(analyzer=_identity, min_df=min_df, max_features=50_000, sublinear_tf=True)
        return encoder.fit_transform(documents)
    except ValueError:  # scikit-learn's word for "no vocabulary is left"
        return None


def _identity(tokens: list[str]) -> list[str]:
    return tokens


def _as_tags(cell: object) -> list[str]:
    if isinstance(cell, str):
        return [cell] if cell else []
    return [str(tag) for tag in cell] if isinstance(cell, Iterable) else []


def _words(cell: object) -> list[str]:
    """Lower-case words; runs of Chinese, Japanese or Korean as pairs of characters, which need no dictionary."""
    if not isinstance(cell, str):
        return []
    text = cell[:2_000].casefold()
    pairs = [run[k : k + 2] for run in _CJK.findall(text) for k in range(max(1, len(run) - 1))]
    return pairs + [word for word in _WORD.findall(_CJK.sub(" ", text)) if len(word) > 1]


_ENCODERS = {"category": _category, "tags": _tags, "text": _text, "price": _price}
