"""One-dimensional ``.npy`` files: written piece by piece, opened memory-mapped and read-only. Never pickle.

And folders of them: each array gets its name when it is whole, and a list of all is written last.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

_BLOCK = 1 << 22

# A file of the format 1.0: magic, version, length of the rest of the header. Its size is fixed here, so that the
# header can be written last, when the number of values is known.
_HEADER = 128
_START = b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little")


class ArrayFile:
    """A ``.npy`` file that grows. It is complete only after :meth:`close`; before that NumPy refuses it.

    Parameters
    ----------
    path : Path
    dtype : str
        Such as ``"int32"``.
    lasting : bool
        Whether closing waits until the disk holds it.
    """

    def __init__(self, path: Path, dtype: str, *, lasting: bool = False) -> None:
        self.path, self.dtype, self.size, self.lasting = path, np.dtype(dtype).newbyteorder("<"), 0, lasting
        self._file = open(path, "wb")  # noqa: SIM115  (closed by close, as a file is)
        self._file.write(bytes(_HEADER))

    def append(self, values: np.ndarray) -> None:
        """Write more values; they are cast, and a value that does not fit is an error of the caller."""
        self._file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.size += values.size

    def close(self) -> None:
        """Write the header; now it is an array."""
        self._file.seek(0)
        self._file.write(_header(self.dtype, self.size))
        self._file.flush()
        if self.lasting:
            os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()


def _header(dtype: np.dtype, size: int) -> bytes:
    text = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': ({size},), }}".encode()
    return _START + text.ljust(_HEADER - 11) + b"\n"


def open_array(path: Path) -> np.ndarray:
    """Map a file as a plain, read-only array: pages are read when touched, and shared between processes.

    Raises
    ------
    OSError, ValueError
        Not there, or not one plain array.
    """
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(found, np.ndarray):
        raise ValueError("an archive of several arrays")
    return np.asarray(found)


def held_array(path: Path) -> np.ndarray:
    """Read a file into memory."""
    return np.asarray(np.load(path, allow_pickle=False))


def put_array(folder: Path, name: str, array: np.ndarray, dtype: str) -> dict[str, Any]:
    """Put a new file in the place of an old one, which whoever has it open keeps; return its type, size and SHA-256.

    Raises
    ------
    OSError
    """
    path = folder / f"{name}.npy"
    fresh = path.with_name(f"{path.name}.part")
    with ArrayFile(fresh, dtype, lasting=True) as file:
        for start in range(0, array.size, _BLOCK):
            file.append(array[start : start + _BLOCK])
    found = {"dtype": dtype, "size": int(array.size), "sha256": file_hash(fresh)}
    fresh.replace(path)
    return found


def put_list(path: Path, content: bytes) -> None:
    """Write the list of a folder, when all that it names is there; it and their names last.

    Raises
    ------
    OSError
    """
    fresh = path.with_name(f"{path.name}.part")
    with open(fresh, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_hash(path: Path) -> str:
    """SHA-256 of a file: hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
