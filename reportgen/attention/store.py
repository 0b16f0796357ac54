"""Save and load a scorer: arrays and JSON in a folder, never pickle, only declared names."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from reportgen.attention.features import KINDS, FeatureBlock
from reportgen.attention.kernels import Kernel
from reportgen.attention.scorer import AttentionScorer
from reportgen.errors import ModelError

FORMAT = "reportgen.model/1"
_PARAMETERS = ("features", "half_lives", "neighbours", "l2", "min_support", "history_cap", "max_users", "n_negatives", "random_state")
_FACTS = ("theta_pop_", "learnt_", "n_users_", "n_users_learnt_")
_ARRAYS = {"theta_": "f8", "base_": "f8", "popularity_": "i8", "candidate_": "b1"}
_CSR = (("data", ""), ("indices", "i"), ("indptr", "i"))


def model_id(scorer: AttentionScorer) -> str:
    """Hash of everything the scorer learnt and was told: 16 hexadecimal digits. Kept once computed."""
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
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    meta = _meta(scorer) | {"model_id": model_id(scorer)}
    (folder / "model.json").write_bytes(_canonical(meta) + b"\n")
    return model_id(scorer)


def load_model(folder: str | Path) -> AttentionScorer:
    """Read a scorer; arrays are memory-mapped.

    Raises
    ------
    ModelError
        Not a model folder, another format, an array of another type or shape, a number that is not finite, or a hash that
        does not fit.
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
    scorer.kernel_ = Kernel(_read_csr(folder, "together", "f4", (size, size)), _read_csr(folder, "support", "i4", (size, size)))
    scorer.blocks_ = tuple(
        FeatureBlock(b["name"], b["kind"], _read_csr(folder, f"block{k}", "f4", (size, b["width"])))
        for k, b in enumerate(meta["blocks"])
    )
    scorer.heads_ = scorer.heads().names
    _check_shapes(scorer)
    if model_id(scorer) != meta["model_id"]:
        raise ModelError(f"{folder}: the arrays are not those that were saved (model id {meta['model_id']}); fit the model again")
    return scorer


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "surrogatepass")


def _meta(scorer: AttentionScorer) -> dict[str, Any]:
    parameters = {name: getattr(scorer, name) for name in _PARAMETERS}
    parameters["half_lives"] = [str(float(h)) for h in scorer.half_lives]
    if scorer.features is not None:
        parameters["features"] = {name: list(pair) for name, pair in scorer.features.items()}
    return {
        "format": FORMAT,
        "parameters": parameters,
        "facts": {name: getattr(scorer, name) for name in _FACTS},
        "blocks": [{"name": b.name, "kind": b.kind, "width": int(b.matrix.shape[1])} for b in scorer.blocks_],
        "item_ids": [str(item) for item in scorer.item_ids_],
    }


def _arrays(scorer: AttentionScorer) -> dict[str, np.ndarray]:
    found = {name: np.asarray(getattr(scorer, name)) for name in _ARRAYS}
    matrices = {"together": scorer.kernel_.weights, "support": scorer.kernel_.support}
    matrices |= {f"block{k}": block.matrix for k, block in enumerate(scorer.blocks_)}
    for name, matrix in matrices.items():
        found |= {f"{name}.{part}": getattr(matrix, part) for part, _ in _CSR}
    return found


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta = json.loads((folder / "model.json").read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{folder}: no model.json here; make a model with: reportgen fit --model {folder}") from None
    except (ValueError, RecursionError) as problem:
        raise ModelError(f"{folder}/model.json cannot be read: {problem}") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise ModelError(f"{folder}/model.json is not of the format {FORMAT}; fit the model again with this version")
    try:
        blocks = [(b["name"], b["kind"], int(b["width"])) for b in meta["blocks"]]
        complete = all(name in meta["facts"] for name in _FACTS) and all(kind in KINDS for _, kind, _ in blocks)
    except (KeyError, TypeError, ValueError):
        complete = False
    if not complete or not {"item_ids", "model_id", "parameters"} <= meta.keys():
        raise ModelError(f"{folder}/model.json lacks entries or holds unknown ones; fit the model again")
    return meta


def _parameters(meta: dict[str, Any]) -> dict[str, Any]:
    given = meta["parameters"]
    if set(given) != set(_PARAMETERS):
        raise ModelError(f"model.json: parameters must be exactly {', '.join(_PARAMETERS)}")
    features = given["features"]
    pairs = None if features is None else {name: (column, kind) for name, (column, kind) in features.items()}
    return given | {"half_lives": tuple(float(h) for h in given["half_lives"]), "features": pairs}


def _read(folder: Path, name: str, kind: str) -> np.ndarray:
    path = folder / f"{name}.npy"
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as problem:
        raise ModelError(f"{path} cannot be read as a plain array: {problem}") from None
    if kind and not array.dtype.str[1:].startswith(kind):
        raise ModelError(f"{path}: numbers of type {array.dtype} where {kind} is needed")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = int(np.flatnonzero(~np.isfinite(array.ravel()))[0])
        raise ModelError(f"{path}: entry {place} is {array.ravel()[place]}, not a finite number; fit the model again")
    return array


def _read_csr(folder: Path, name: str, kind: str, shape: tuple[int, int]) -> sparse.csr_matrix:
    data, indices, indptr = (_read(folder, f"{name}.{part}", kind if part == "data" else letter) for part, letter in _CSR)
    sound = indptr.size == shape[0] + 1 and indptr[0] == 0 and indptr[-1] == data.size == indices.size
    if not sound or (np.diff(indptr) < 0).any() or (indices.size and not 0 <= indices.min() <= indices.max() < shape[1]):
        raise ModelError(f"{folder}/{name}: the three arrays do not form a matrix of shape {shape}; fit the model again")
    return sparse.csr_matrix((data, indices, indptr), shape=shape, copy=False)


def _check_shapes(scorer: AttentionScorer) -> None:
    size = scorer.item_ids_.size
    wanted = {
        "theta_": (len(scorer.heads_), len(scorer.half_lives)),
        "base_": (size,),
        "popularity_": (size,),
        "candidate_": (size,),
    }
    for name, shape in wanted.items():
        if getattr(scorer, name).shape != shape:
            raise ModelError(f"{name}.npy has shape {getattr(scorer, name).shape}, the model needs {shape}")
    if (scorer.theta_ < 0).any():
        raise ModelError("theta_.npy: head weights must not be negative")
