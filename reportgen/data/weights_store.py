"""Tables about another model as a folder of plain arrays and one JSON file, so that any number of processes share one copy of them."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reportgen.data.arrays import file_hash, open_array, put_array, put_list
from reportgen.data.schema import Problem
from reportgen.data.weights import Ablation, GivenLists, WeightTable
from reportgen.errors import InputError, OutputError

FORMAT, META = "reportgen.long/1", "table.json"
Stored = TypeVar("Stored", WeightTable, GivenLists, Ablation)


def save_table(table: WeightTable | GivenLists | Ablation, folder: Path) -> None:
    """Write a table; the list of its arrays is written last. A column that is the same in every row is one number.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / META).unlink(missing_ok=True)
        plain: dict[str, Any] = {}
        for one in fields(table):
            value = getattr(table, one.name)
            plain[one.name] = _put(folder, one.name, value) if isinstance(value, np.ndarray) else value
        plain["problems"] = [asdict(problem) for problem in table.problems]
        body = {"format": FORMAT, "of": type(table).__name__, "fields": plain}
        put_list(folder / META, json.dumps(body, sort_keys=True, allow_nan=False).encode("ascii"))
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error})") from error


def _put(folder: Path, name: str, array: np.ndarray) -> dict[str, Any]:
    if array.size and array.strides == (0,):
        value = None if np.isnan(array[0]) else array[0].item()
        return {"dtype": array.dtype.name, "size": int(array.size), "all": value}
    return put_array(folder, name, array, array.dtype.name)


def open_table(kind: type[Stored], folder: Path, verify: bool = True) -> Stored:
    """Open what `save_table` wrote; arrays are read-only maps.

    Parameters
    ----------
    kind : type
        Of the table.
    folder : Path
    verify : bool
        Check every byte against its hash.

    Raises
    ------
    InputError
        It is not there, of another kind or version, or damaged.
    """
    try:
        body = json.loads((folder / META).read_bytes())
        if (body["format"], body["of"]) != (FORMAT, kind.__name__):
            raise ValueError(f"it is no {kind.__name__} of this version")
        plain = {name: _get(folder, name, value, verify) for name, value in body["fields"].items()}
        plain["columns"] = tuple(plain.get("columns", ()))
        plain["problems"] = tuple(Problem(**told | {"rows": tuple(told["rows"])}) for told in plain["problems"])
        return kind(**plain)
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError) as error:
        raise InputError(
            f"{folder}: the table cannot be read ({error}); make the run again with --overwrite"
        ) from error


def _get(folder: Path, name: str, value: Any, verify: bool) -> Any:
    if isinstance(value, dict):
        if "all" in value:
            one = np.array(np.nan if value["all"] is None else value["all"], dtype=value["dtype"])
            return np.broadcast_to(one, value["size"])
        path = folder / f"{name}.npy"
        array = open_array(path)
        if (array.dtype, array.shape) != (np.dtype(value["dtype"]), (value["size"],)):
            raise ValueError(f"{name}.npy is not of the type and length that were saved")
        if verify and file_hash(path) != value["sha256"]:
            raise ValueError(f"{name}.npy is not what was saved")
        return array
    return tuple(value) if isinstance(value, list) else value
