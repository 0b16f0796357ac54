"""A folder that holds a data set: plain arrays and one JSON file, never pickle, only declared names.

Large arrays are memory-mapped when opened, so that any number of processes share one copy by the folder's path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reportgen.data.arrays import file_hash, open_array, put_array, put_list
from reportgen.errors import InputError, OutputError

FORMAT = "reportgen.dataset/1"
META = "dataset.json"
#: Arrays that every folder has -> type.
ARRAYS = {
    "indptr": "int64", "items": "int32", "timestamps": "int64", "types": "int8", "values": "float32",
    "orders": "int32", "private": "int64",
}  # fmt: skip
#: Kind of a column -> the parts it is stored in, with their types.
PARTS = {
    "text": {"text": "uint8", "ends": "int64", "known": "bool"},
    "tags": {"text": "uint8", "ends": "int64", "counts": "int64"},
    "flag": {"flags": "bool"},
    "number": {"numbers": "float64"},
}
_FACTS: dict[str, Any] = {"event_types": list, "problems": list, "rows_read": (dict, type(None)), "date_only": bool, "synthetic": bool,
          "policy": dict, "columns": list, "columns_read": (dict, type(None))}  # fmt: skip
#: Facts that older folders of this format do not hold.
_LATER = {"columns_read"}
Column = tuple[str, str, str]


def write_folder(
    folder: Path, arrays: Mapping[str, np.ndarray], columns: Mapping[Column, np.ndarray], facts: dict[str, Any]
) -> str:
    """Write a data set and return its id: the hash of everything in it.

    Parameters
    ----------
    folder : Path
        Made when absent. A data set that stands there is replaced; who has it open keeps the old arrays.
    arrays : mapping
        The names of ``ARRAYS``.
    columns : mapping of (table, name, kind) to ndarray
    facts : dict
        Plain data for JSON.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Without its list a folder is no data set: whoever comes between finds none rather than a mixture.
        (folder / META).unlink(missing_ok=True)
        stored = {name: put_array(folder, name, array, ARRAYS[name]) for name, array in sorted(arrays.items())}
        for place, (column, values) in enumerate(columns.items()):
            for part, array in _parts(column, values).items():
                name = f"column{place}.{part}"
                stored[name] = put_array(folder, name, array, PARTS[column[2]][part])
        body = {"format": FORMAT, "arrays": stored, "facts": facts | {"columns": [list(column) for column in columns]}}
        made = _id(body)
        put_list(folder / META, _canonical(body | {"dataset_id": made}) + b"\n")
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return made


def _id(body: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()[:16]


def _canonical(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


# --- columns as arrays


def kind_of(values: np.ndarray) -> str:
    """Kind of a column.

    Raises
    ------
    OutputError
        It holds something else than text, lists of text, flags or numbers.
    """
    if values.dtype.kind in "bf":
        return "flag" if values.dtype.kind == "b" else "number"
    if all(value is None or isinstance(value, str) for value in values):
        return "text"
    if all(isinstance(value, tuple) and all(isinstance(label, str) for label in value) for value in values):
        return "tags"
    raise OutputError("a column holds something else than text, tuples of text, flags or floats; it cannot be saved")


def _parts(column: Column, values: np.ndarray) -> dict[str, np.ndarray]:
    kind = column[2]
    if kind == "flag":
        return {"flags": values}
    if kind == "number":
        return {"numbers": values}
    if kind == "tags":
        counts = np.fromiter((len(labels) for labels in values), dtype=np.int64, count=values.size)
        return _text_parts([label for labels in values for label in labels]) | {"counts": counts}
    known = np.fromiter((value is not None for value in values), dtype=bool, count=values.size)
    return _text_parts([value or "" for value in values]) | {"known": known}


def _text_parts(texts: Sequence[str]) -> dict[str, np.ndarray]:
    cells = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum(np.fromiter(map(len, cells), dtype=np.int64, count=len(cells)))
    return {"text": np.frombuffer(b"".join(cells), dtype=np.uint8), "ends": ends}


def _column(kind: str, parts: dict[str, np.ndarray]) -> np.ndarray:
    if kind in ("flag", "number"):
        return np.array(parts["flags" if kind == "flag" else "numbers"])  # small, and frames do not like maps
    if kind == "text":
        texts = zip(_texts(parts), parts["known"].tolist(), strict=True)
        return _objects([text if known else None for text, known in texts])
    labels = _texts(parts)
    ends = np.cumsum(parts["counts"]).tolist()
    return _objects([tuple(labels[a:b]) for a, b in zip([0, *ends], ends, strict=False)])


def _texts(parts: dict[str, np.ndarray]) -> list[str]:
    blob, ends = parts["text"].tobytes(), parts["ends"].tolist()
    pairs = zip([0, *ends], ends, strict=False)
    if blob.isascii():
        text = blob.decode("ascii")
        return [text[a:b] for a, b in pairs]
    return [blob[a:b].decode("utf-8", "surrogatepass") for a, b in pairs]


def _objects(values: list[Any]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


# --- reading


def read_folder(
    folder: Path, verify: bool
) -> tuple[dict[str, np.ndarray], dict[tuple[str, str], np.ndarray], dict[str, Any]]:
    """Open what :func:`write_folder` wrote: arrays, columns by (table, name), facts.

    Raises
    ------
    InputError
        Not such a folder, another format, an array of another type or size, or (with ``verify``) another content.
    """
    meta = _read_meta(folder)
    stored, facts = meta["arrays"], meta["facts"]
    arrays = {name: _open(folder, name, dtype, stored, verify) for name, dtype in ARRAYS.items()}
    columns = {}
    for place, (table, name, kind) in enumerate(facts["columns"]):
        parts = {
            part: _open(folder, f"column{place}.{part}", dtype, stored, verify) for part, dtype in PARTS[kind].items()
        }
        try:
            columns[table, name] = _column(kind, parts)
        except ValueError as error:
            raise _spoilt(folder, f'the column "{name}" cannot be read ({error})') from error
    _check_histories(folder, arrays)
    return arrays, columns, facts


def _spoilt(folder: Path, what: str) -> InputError:
    return InputError(f"{folder}: {what}; save the data set again")


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta = json.loads((folder / META).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: no {META} here; make one with Dataset.save") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _spoilt(folder, f"{META} cannot be read ({error})") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise _spoilt(folder, f"{META} is not of the format {FORMAT}")
    if not _complete(meta):
        raise _spoilt(folder, f"{META} lacks entries or holds unknown ones")
    if _id({name: value for name, value in meta.items() if name != "dataset_id"}) != meta["dataset_id"]:
        raise _spoilt(folder, f"{META} is not what was saved")
    return meta


def _complete(meta: dict[str, Any]) -> bool:
    """Every entry is there, no other one, and each is of its type."""
    entries: dict[str, type] = {"format": str, "arrays": dict, "facts": dict, "dataset_id": str}
    if meta.keys() != entries.keys() or not all(type(meta[name]) is kind for name, kind in entries.items()):
        return False
    facts = meta["facts"]
    if facts.keys() | _LATER != _FACTS.keys() or not all(
        isinstance(facts.get(at), kind) for at, kind in _FACTS.items()
    ):
        return False
    columns = facts["columns"]
    told = meta["arrays"].values()
    shaped = all(isinstance(array, dict) and array.keys() == {"dtype", "size", "sha256"} for array in told)
    shaped = shaped and all(isinstance(column, list) and len(column) == 3 for column in columns)
    if not shaped or not all(isinstance(cell, str) for column in columns for cell in column):
        return False
    if columns[:2] != [["ids", "user_ids", "text"], ["ids", "item_ids", "text"]]:
        return False
    return all(kind in PARTS for _, _, kind in columns) and meta["arrays"].keys() == set(_declared(columns))


def _declared(columns: Sequence[Sequence[str]]) -> Iterator[str]:
    """Every array that must be there."""
    yield from ARRAYS
    yield from (f"column{place}.{part}" for place, column in enumerate(columns) for part in PARTS[column[2]])


def _open(folder: Path, name: str, dtype: str, stored: dict[str, Any], verify: bool) -> np.ndarray:
    path, told = folder / f"{name}.npy", stored[name]
    try:
        array = open_array(path)
        same = not verify or file_hash(path) == told["sha256"]
    except FileNotFoundError:
        raise _spoilt(folder, f"{name}.npy is missing") from None
    except (OSError, ValueError, EOFError, OverflowError) as error:
        raise _spoilt(folder, f"{name}.npy cannot be read as a plain array ({error})") from None
    if array.dtype != np.dtype(dtype) or array.shape != (told["size"],):
        raise _spoilt(folder, f"{name}.npy holds {array.dtype}{list(array.shape)}, not {dtype}[{told['size']}]")
    if not same:
        raise _spoilt(folder, f"{name}.npy is not what was saved")
    return array


def _check_histories(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    indptr, size = arrays["indptr"], arrays["items"].size
    whole = indptr.size and indptr[0] == 0 and indptr[-1] == size and not (np.diff(indptr) < 0).any()
    if not whole or any(arrays[name].size != size for name in ("timestamps", "types", "values", "orders")):
        raise _spoilt(folder, "the arrays do not fit each other")
