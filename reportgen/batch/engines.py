"""Opening the engine of a run from the files that it wrote of itself."""

from __future__ import annotations

from pathlib import Path

from reportgen.batch.engine import Engine, Scored
from reportgen.batch.foreign import Foreign
from reportgen.batch.given import Given
from reportgen.errors import InputError

_KINDS: dict[str, type[Scored] | type[Foreign]] = {found.kind: found for found in (Scored, Given, Foreign)}


def open_engine(kind: str, folder: Path, verify: bool = True) -> Engine:
    """Open what `Engine.save` wrote.

    Parameters
    ----------
    kind : str
        Of the engine that wrote it.
    folder : Path
    verify : bool
        Check every byte against its hash.

    Raises
    ------
    InputError, ModelError
        It is not there, damaged, or of a kind that this version does not know.
    """
    if kind not in _KINDS:
        raise InputError(f"{folder}: {kind!r} is no engine of this version; make the run again with --overwrite")
    try:
        return _KINDS[kind].open(folder, verify)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder}: it cannot be read ({error}); make the run again with --overwrite") from error
