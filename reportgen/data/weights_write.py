"""The arrays of a table about another model, written block by block."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from reportgen.data.arrays import ArrayFile, held_array, open_array
from reportgen.data.dataset import Dataset
from reportgen.data.ingest_long import Long
from reportgen.data.ingest_sort import HELD_BYTES


class TableWriter:
    """Arrays of a table in the making, on the disk.

    Parameters
    ----------
    folder : Path
    dtypes : dict of str to str
    data : Dataset
    """

    def __init__(self, folder: Path, dtypes: dict[str, str], data: Dataset) -> None:
        self._folder, self._dtypes, self._stack = folder, dtypes, ExitStack()
        self.files = dict[str, ArrayFile]()
        self.indptr = np.zeros(data.user_ids.size + 1, dtype=np.int64)

    def __enter__(self) -> TableWriter:
        for name, dtype in self._dtypes.items():
            self.files[name] = self._stack.enter_context(ArrayFile(self._folder / f"{name}.npy", dtype))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)  # type: ignore[arg-type]
        np.cumsum(self.indptr, out=self.indptr)

    def append(self, block: Long, columns: dict[str, np.ndarray], order: np.ndarray | None = None) -> None:
        """Add the rows of a block that are not set aside, in their order or in another that keeps users together."""
        rows = np.flatnonzero(block.keep) if order is None else order
        self.indptr[1:] += np.bincount(block.codes["user_id"][rows], minlength=self.indptr.size - 1)
        for name, file in self.files.items():
            file.append(columns[name][rows])

    @property
    def size(self) -> int:
        return int(self.indptr[-1])

    def arrays(self) -> dict[str, np.ndarray]:
        """Read what was written; where it is large, map it. The files may be deleted then."""
        large = sum(file.size * file.dtype.itemsize for file in self.files.values()) > HELD_BYTES
        return {name: (open_array if large else held_array)(file.path) for name, file in self.files.items()}
