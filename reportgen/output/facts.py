"""Facts about a run's making: what was read, with which templates and packages. No clock, no host, no folder names."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

from reportgen.data.schema import show
from reportgen.data.sources import resolve
from reportgen.errors import InputError

#: Packages whose version can change a byte of the output.
PACKAGES = (
    "babel",
    "duckdb",
    "jinja2",
    "matplotlib",
    "numpy",
    "pandas",
    "regex",
    "scikit-learn",
    "scipy",
    "weasyprint",
)
TEMPLATE_KINDS = (".html", ".css", ".txt", ".toml")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class InputFile:
    """One file that was read.

    Attributes
    ----------
    table : str
        ``events``, ``items`` or ``users``.
    name : str
        Without folder.
    sha256 : str
    bytes : int
    """

    table: str
    name: str
    sha256: str
    bytes: int


def hash_inputs(table: str, where: str | Path | None, delimiter: str = "") -> tuple[InputFile, ...]:
    """Hash the files that `Dataset.from_files` reads for one table, in the same order.

    Raises
    ------
    InputError
        Nothing there, or a file that cannot be read.
    """
    if where is None:
        return ()
    return tuple(_hash_file(table, source.path) for source in resolve(where, delimiter) if source.path is not None)


def _hash_file(table: str, path: Path) -> InputFile:
    digest, size = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise InputError(f"{show(path.name)}: cannot be read ({error.strerror}); check its rights") from error
    return InputFile(table, show(path.name), digest.hexdigest(), size)


def hash_text(table: str, name: str, text: str) -> InputFile:
    """Describe a table that never was a file by its text."""
    data = text.encode("utf-8", "surrogatepass")
    return InputFile(table, name, hashlib.sha256(data).hexdigest(), len(data))


def templates_hash(folder: str | Path | None = None) -> str:
    """SHA-256 over names and contents of the built-in templates and sentences, and of the operator's own where given."""
    digest = hashlib.sha256()
    for name, data in _templates(folder):
        digest.update(b"%s\0%d\0" % (name.encode("utf-8", "surrogateescape"), len(data)))
        digest.update(data)
    return digest.hexdigest()


def _templates(folder: str | Path | None) -> Iterator[tuple[str, bytes]]:
    for place in (files("reportgen.templates"), files("reportgen.report") / "locales"):
        own = [entry for entry in place.iterdir() if entry.name.endswith(TEMPLATE_KINDS)]
        for entry in sorted(own, key=lambda entry: entry.name):
            yield entry.name, entry.read_bytes()
    if folder is not None:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.name.endswith(TEMPLATE_KINDS):
                yield f"own/{path.relative_to(folder).as_posix()}", path.read_bytes()


def catalogue_hashes() -> dict[str, str]:
    """Message file of each language -> SHA-256."""
    own = [entry for entry in (files("reportgen.report") / "locales").iterdir() if entry.name.endswith(".toml")]
    return {
        entry.name: hashlib.sha256(entry.read_bytes()).hexdigest() for entry in sorted(own, key=lambda one: one.name)
    }


def package_versions() -> dict[str, str]:
    """Versions of the packages that take part; those not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def python_version() -> str:
    """The version of the interpreter, such as 3.12.1."""
    return platform.python_version()
