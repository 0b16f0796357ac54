"""How much memory and disk the reader may take, and what it says when that is not enough."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from reportgen.config import InputConfig
from reportgen.errors import InputError

# A thread of the engine needs about this much of its own; more threads than fit would fail, not wait.
THREAD_BYTES = 125 << 20
_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def bytes_of(size: str) -> int:
    """``"1.5GB"`` as a number; the configuration has checked its form."""
    number = size.rstrip("BGMTi")
    return int(float(number) * _UNITS[size[len(number) :].strip()])


@contextmanager
def spill_folder(config: InputConfig) -> Iterator[Path]:
    """A folder of our own for what does not fit into memory, gone afterwards.

    Raises
    ------
    InputError
        The configured folder is not there or cannot be written, or it is full.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="reportgen-", dir=config.spill_folder or None) as name:
            yield Path(name)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(_full(config)) from error
        if error.filename is not None and str(error.filename).startswith(config.spill_folder or "\0"):
            where = f'[input] spill_folder = "{config.spill_folder}"'
            raise InputError(f"{where} cannot be used ({error.strerror}); name a folder that can be written") from error
        raise


@contextmanager
def within_limits(config: InputConfig) -> Iterator[None]:
    """Turn the engine's errors about memory and disk into one line that names the setting to change."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise InputError(_too_large(str(error), config)) from error
    except duckdb.Error as error:
        if not is_full(error):
            raise
        raise InputError(_full(config)) from error


def is_full(error: duckdb.Error) -> bool:
    """Whether the engine failed because the disk is full."""
    return "No space left on device" in str(error) or "quota exceeded" in str(error)


def _too_large(told: str, config: InputConfig) -> str:
    if "max_temp_directory_size" in told or "offload" in told:
        return (
            f"the input needs more than [input] spill_limit = {config.spill_limit} of disk while it is sorted; "
            "raise it (100 bytes per event are enough) or split the input"
        )
    return (
        f"the input does not fit into [input] memory_limit = {config.memory_limit}; raise it, or lower [input] threads"
    )


def _full(config: InputConfig) -> str:
    return (
        "the disk is full on which the input is sorted; set [input] spill_folder to a folder on a disk with more room "
        f"({'now ' + config.spill_folder if config.spill_folder else 'now the folder for temporary files'})"
    )


def connect(folder: Path, config: InputConfig) -> duckdb.DuckDBPyConnection:
    """Open an empty in-memory database that spills into ``folder`` and never loads an extension."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": config.memory_limit,
        "temp_directory": str(folder / "spill"),
        # Row numbers are the order of the input. It is also the engine's default.
        "preserve_insertion_order": "true",
    }
    con = duckdb.connect(config=settings)
    con.execute(f"SET threads = {_threads(con, config)}")
    # Given with the others at the start it is shown but not kept to (DuckDB 2.0 wrote 190 times the limit).
    con.execute(f"SET max_temp_directory_size = '{config.spill_limit}'")
    # Columns of Python objects are text here; guessing from a sample could turn an id into a number.
    con.execute("SET pandas_analyze_sample = 0")
    con.execute("SET enable_progress_bar = false")
    return con


def _threads(con: duckdb.DuckDBPyConnection, config: InputConfig) -> int:
    if config.threads:
        return config.threads
    ((cores,),) = con.execute("SELECT current_setting('threads')").fetchall()
    return max(1, min(int(cores), bytes_of(config.memory_limit) // THREAD_BYTES))
