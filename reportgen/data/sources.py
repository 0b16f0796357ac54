"""A file, folder or glob -> the list of files to read, in an order that does not depend on the disk."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from reportgen.data.schema import show
from reportgen.errors import InputError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
ALLOWED = ".csv, .tsv, .tab (plain, .gz or .zst) and .parquet"


@dataclass(frozen=True)
class Source:
    """One thing to read: a file, or the columns of a frame.

    Attributes
    ----------
    name : str
        For messages: the file's name without folder.
    path : Path or None
        None for a frame.
    delimiter : str
        "" for Parquet and frames.
    compression : str
        "", "gz" or "zst".
    columns : mapping of str to ndarray
        The frame's columns.
    numeric : frozenset of str
        Columns of a frame that held numbers but are handed over as text.
    """

    name: str
    path: Path | None = None
    delimiter: str = ""
    compression: str = ""
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    numeric: frozenset[str] = frozenset()

    @property
    def is_text(self) -> bool:
        """Whether the file is CSV or TSV."""
        return bool(self.delimiter)


def resolve(where: str | PathLike[str], delimiter: str = "") -> list[Source]:
    """Find the files of one table.

    Parameters
    ----------
    where : str or path
        A file, a folder (searched through) or a glob.
    delimiter : str
        Overrides the one that goes with the extension.

    Raises
    ------
    InputError
        Nothing there, or a kind of file that cannot be read.
    """
    path = Path(where)
    if path.is_dir():
        found = [file for file in path.rglob("*") if file.is_file() and _kind(file) is not None]
        base = path
    elif path.exists():
        found, base = [path], path.parent
    else:
        found, base = [Path(hit) for hit in glob.glob(str(where), recursive=True) if Path(hit).is_file()], Path()
    if not found:
        raise InputError(f"{where}: no file found; give a file, a folder or a glob of {ALLOWED}")
    found.sort(key=lambda file: (file.relative_to(base) if file.is_relative_to(base) else file).as_posix())
    return [_source(file, delimiter) for file in found]


def _kind(path: Path) -> tuple[str, str] | None:
    """Extension and compression of a file that can be read, None for any other."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes.pop()[1:] if suffixes and suffixes[-1] in (".gz", ".zst") else ""
    kind = suffixes[-1] if suffixes else ""
    if path.name.startswith(".") or kind not in (*DELIMITERS, ".parquet") or (packed and kind == ".parquet"):
        return None
    return kind, packed


def _source(path: Path, delimiter: str) -> Source:
    kind = _kind(path)
    if kind is None:
        packed = "; Parquet is compressed inside already: unpack it" if ".parquet" in path.name.lower() else ""
        raise InputError(f"{show(path.name)}: this kind of file is not read; allowed are {ALLOWED}{packed}")
    return Source(path.name, path, delimiter or DELIMITERS[kind[0]] if kind[0] in DELIMITERS else "", kind[1])
