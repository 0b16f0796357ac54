"""Save and load a scorer: arrays and JSON in a folder, never pickle, only declared names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from reportgen.attention.features import AGAIN, KINDS, NEXT, TOGETHER, VIA, FeatureBlock
from reportgen.attention.kernels import Kernel
from reportgen.attention.scorer import AttentionScorer
from reportgen.errors import ModelError

FORMAT = "reportgen.model/2"
_NUMBERS = ("lately", "neighbours", "l2", "min_support", "history_cap", "max_users", "n_negatives", "random_state")
_PARAMETERS = ("features", "half_lives", "repeat", *_NUMBERS)
#: Kernels that a model may hold, in this order; the last only where people buy again.
_KERNELS = (TOGETHER, NEXT, VIA, AGAIN)
_FACTS: dict[str, type] = {
    "theta_pop_": float,
    "theta_lately_": float,
    "learnt_": bool,
    "looking_takes_": bool,
    "n_users_": int,
    "n_users_learnt_": int,
}
_LEARNING: dict[str, tuple[type, ...]] = {"chosen": (str,), "ndcg": (float, type(None))}
_ENTRIES = {
    "format": str,
    "parameters": dict,
    "facts": dict,
    "half_lives": list,
    "learning": dict,
    "kernels": list,
    "blocks": list,
    "item_ids": list,
    "model_id": str,
}
_ARRAYS = {"theta_": "f8", "base_": "f8", "popularity_": "i8", "candidate_": "b1"}
_PARTS = (("weights", "f4"), ("support", "i4"))
_CSR = (("data", ""), ("indices", "i"), ("indptr", "i"))


def model_id(scorer: AttentionScorer) -> str:
    """Hash of everything the scorer learnt and was told: 16 hexadecimal digits. Kept once computed."""
    check_is_fitted(scorer)
    if not hasattr(scorer, "_model_id"):
        digest = hashlib.sha256(_canonical(_meta(scorer)))
        for name, array in sorted(_arrays(scorer).items()):
            digest.update(name.encode() + str(array.dtype).encode() + str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        scorer._model_id = digest.hexdigest()[:16]
    return str(scorer._model_id)


def save_model(scorer: AttentionScorer, folder: str | Path) -> str:
    """Write a fitted scorer into a folder (made when absent) and return its `model_id`.

    Histories are not part of a model.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in _arrays(scorer).items():
        _put(folder / f"{name}.npy", array)
    meta = _meta(scorer) | {"model_id": model_id(scorer)}
    _put(folder / "model.json", _canonical(meta) + b"\n")
    return model_id(scorer)


def _put(path: Path, content: np.ndarray | bytes) -> None:
    """Put a new file in the place of the old one. Writing into it would pull it from under a model that reads it."""
    fresh = path.with_name(f"{path.name}.part")
    with fresh.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            np.save(file, content, allow_pickle=False)
    fresh.replace(path)


def load_model(folder: str | Path) -> AttentionScorer:
    """Read a scorer; arrays are memory-mapped.

    Raises
    ------
    ModelError
        Not a model folder, another format, an array of another type or shape, a number that is not finite, or a hash
        that does not fit.
    """
    folder = Path(folder)
    meta = _read_meta(folder)
    scorer = AttentionScorer(**_parameters(meta))
    for name in _FACTS:
        setattr(scorer, name, meta["facts"][name])
    scorer.item_ids_ = np.array(meta["item_ids"], dtype=object)
    size = scorer.item_ids_.size
    for name, kind in _ARRAYS.items():
        setattr(scorer, name, _read(folder, name, kind))
    scorer.half_lives_ = tuple(float(half_life) for half_life in meta["half_lives"])
    scorer.learning_ = meta["learning"]
    scorer.kernels_ = {name: _read_kernel(folder, name, size) for name in meta["kernels"]}
    scorer.blocks_ = tuple(
        FeatureBlock(b["name"], b["kind"], _read_csr(folder, f"block{k}", "f4", (size, b["width"])))
        for k, b in enumerate(meta["blocks"])
    )
    scorer.heads_ = scorer.heads().names
    _check_shapes(scorer)
    if model_id(scorer) != meta["model_id"]:
        raise ModelError(
            f"{folder}: the arrays are not those that were saved (model id {meta['model_id']}); fit the model again"
        )
    return scorer


def _read_kernel(folder: Path, name: str, size: int) -> Kernel:
    weights, support = (_read_csr(folder, f"{name}.{part}", kind, (size, size)) for part, kind in _PARTS)
    if not np.array_equal(weights.indptr, support.indptr) or not np.array_equal(weights.indices, support.indices):
        raise ModelError(f"{folder}/{name}: support and weights do not have one pattern; fit the model again")
    return Kernel(weights, support)


def _canonical(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain)
    return text.encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    """A parameter that came as a NumPy number."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be part of a model")


def _meta(scorer: AttentionScorer) -> dict[str, Any]:
    parameters = {name: getattr(scorer, name) for name in _PARAMETERS}
    if scorer.half_lives is not None:
        parameters["half_lives"] = [str(float(h)) for h in scorer.half_lives]
    if scorer.features is not None:
        parameters["features"] = {name: list(pair) for name, pair in scorer.features.items()}
    return {
        "format": FORMAT,
        "parameters": parameters,
        "facts": {name: kind(getattr(scorer, name)) for name, kind in _FACTS.items()},
        "half_lives": [str(h) for h in scorer.half_lives_],
        "learning": dict(scorer.learning_),
        "kernels": list(scorer.kernels_),
        "blocks": [{"name": b.name, "kind": b.kind, "width": int(b.matrix.shape[1])} for b in scorer.blocks_],
        "item_ids": [str(item) for item in scorer.item_ids_],
    }


def _arrays(scorer: AttentionScorer) -> dict[str, np.ndarray]:
    found = {name: np.asarray(getattr(scorer, name)) for name in _ARRAYS}
    matrices = {f"{name}.{part}": getattr(k, part) for name, k in scorer.kernels_.items() for part, _ in _PARTS}
    matrices |= {f"block{k}": block.matrix for k, block in enumerate(scorer.blocks_)}
    for name, matrix in matrices.items():
        found |= {f"{name}.{part}": getattr(matrix, part) for part, _ in _CSR}
    return found


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta = json.loads((folder / "model.json").read_bytes(), parse_constant=_no_number)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{folder}: no model.json here; make a model with: reportgen fit --model {folder}") from None
    except (OSError, ValueError, RecursionError) as problem:
        raise ModelError(f"{folder}/model.json cannot be read: {problem}") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise ModelError(f"{folder}/model.json is not of the format {FORMAT}; fit the model again with this version")
    if not _complete(meta):
        raise ModelError(f"{folder}/model.json lacks entries or holds unknown ones; fit the model again")
    return dict(meta)


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def _complete(meta: dict[str, Any]) -> bool:
    """Every entry is there, no other one, and each is of its type."""
    if meta.keys() != _ENTRIES.keys() or not all(type(meta[name]) is kind for name, kind in _ENTRIES.items()):
        return False
    facts, blocks, ids, learning = meta["facts"], meta["blocks"], meta["item_ids"], meta["learning"]
    return (
        meta["kernels"] in (list(_KERNELS), list(_KERNELS[:-1]))
        and all(_is_half_life(text) for text in meta["half_lives"])
        and learning.keys() == _LEARNING.keys()
        and all(isinstance(learning[name], kinds) for name, kinds in _LEARNING.items())
        and facts.keys() == _FACTS.keys()
        and all(type(facts[name]) is kind for name, kind in _FACTS.items())
        and all(isinstance(block, dict) and block.keys() == {"name", "kind", "width"} for block in blocks)
        and all(block["kind"] in KINDS and type(block["width"]) is int and block["width"] > 0 for block in blocks)
        and all(isinstance(text, str) for text in [*ids, *(block["name"] for block in blocks)])
    )


def _is_half_life(text: Any) -> bool:
    try:
        return isinstance(text, str) and float(text) > 0
    except ValueError:
        return False


def _parameters(meta: dict[str, Any]) -> dict[str, Any]:
    given = meta["parameters"]
    if not isinstance(given, dict) or set(given) != set(_PARAMETERS):
        raise ModelError(f"model.json: parameters must be exactly {', '.join(_PARAMETERS)}")
    if odd := [name for name in _NUMBERS if type(given[name]) not in (int, float)]:
        raise ModelError(f"model.json: the parameter {odd[0]} is not a number; fit the model again")
    if type(given["repeat"]) is not bool:
        raise ModelError("model.json: the parameter repeat must be true or false; fit the model again")
    features = given["features"]
    try:
        pairs = None if features is None else {name: (column, kind) for name, (column, kind) in features.items()}
        half_lives = given["half_lives"]
        half_lives = None if half_lives is None else tuple(float(h) for h in half_lives)
    except (AttributeError, TypeError, ValueError):
        raise ModelError("model.json: the parameters features or half_lives cannot be read; fit again") from None
    return given | {"half_lives": half_lives, "features": pairs}


def _read(folder: Path, name: str, kind: str) -> np.ndarray:
    path = folder / f"{name}.npy"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing; fit the model again") from None
    except (OSError, ValueError, EOFError, OverflowError) as problem:
        raise ModelError(f"{path} cannot be read as a plain array: {problem}") from None
    if not isinstance(array, np.ndarray):  # an archive of several
        raise ModelError(f"{path} is not one plain array; fit the model again")
    if not array.dtype.str[1:].startswith(kind):
        raise ModelError(f"{path}: numbers of type {array.dtype} where {kind} is needed")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = int(np.flatnonzero(~np.isfinite(array.ravel()))[0])
        raise ModelError(f"{path}: entry {place} is {array.ravel()[place]}, not a finite number; fit the model again")
    return np.asarray(array) if array.size == 0 else array


def _read_csr(folder: Path, name: str, kind: str, shape: tuple[int, int]) -> sparse.csr_matrix:
    data, indices, indptr = (
        _read(folder, f"{name}.{part}", kind if part == "data" else letter) for part, letter in _CSR
    )
    sound = (
        data.ndim == indices.ndim == indptr.ndim == 1
        and indptr.size == shape[0] + 1
        and indptr[0] == 0
        and indptr[-1] == data.size == indices.size
    )
    inside = not indices.size or 0 <= indices.min() <= indices.max() < shape[1]
    if not sound or not inside or (np.diff(indptr) < 0).any():
        raise ModelError(f"{folder}/{name}: the arrays do not form a matrix of shape {shape}; fit the model again")
    return sparse.csr_matrix((data, indices, indptr), shape=shape, copy=False)


def _check_shapes(scorer: AttentionScorer) -> None:
    size = scorer.item_ids_.size
    wanted = {
        "theta_": (len(scorer.heads_), len(scorer.half_lives_)),
        "base_": (size,),
        "popularity_": (size,),
        "candidate_": (size,),
    }
    for name, shape in wanted.items():
        if getattr(scorer, name).shape != shape:
            raise ModelError(f"{name}.npy has shape {getattr(scorer, name).shape}, the model needs {shape}")
    if (scorer.theta_ < 0).any():
        raise ModelError("theta_.npy: head weights must not be negative")
