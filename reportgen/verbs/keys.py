"""The secret behind the pseudonyms: read from a file, or made at first use."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from reportgen.errors import ConfigError

LEAST, MOST = 16, 4096
#: Known to everybody: for made-up data only.
DEMO_KEY = b"the public key of the demo"


def check_key(key: bytes, source: str) -> bytes:
    """Take white space at the ends away and refuse a key that could be guessed or is no key.

    Raises
    ------
    ConfigError
    """
    key = key.strip()
    if not LEAST <= len(key) <= MOST:
        raise ConfigError(f"{source}: a key has {LEAST} to {MOST} bytes, this one {len(key)}; use 32 random bytes")
    return key


def read_key(path: Path) -> bytes:
    """Read a key file.

    Raises
    ------
    ConfigError
        Not there, not readable, too short or too long.
    """
    try:
        with open(path, "rb") as file:
            return check_key(file.read(MOST + 2), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: the key cannot be read ({error.strerror}); name another with --key-file") from error


def make_key(path: Path) -> bytes:
    """Make a key file that only its owner can read, unless there is one, and return the key.

    Raises
    ------
    ConfigError
        The file cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return read_key(path)
    except OSError as error:
        raise ConfigError(f"{path}: no key can be made ({error.strerror}); give one with --key-file") from error
    with open(made, "wb") as file:
        file.write(secrets.token_hex(32).encode("ascii") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return read_key(path)


def find_key(key_file: Path | None, environment: Mapping[str, str], note: Callable[[str], None]) -> bytes:
    """The secret behind the pseudonyms: of a file, of ``REPORTGEN_KEY``, or of the owner, made at first use.

    Raises
    ------
    ConfigError
    """
    if key_file is not None:
        return read_key(key_file)
    if environment.get("REPORTGEN_KEY"):
        return check_key(os.fsencode(environment["REPORTGEN_KEY"]), "REPORTGEN_KEY")
    home = environment.get("XDG_CONFIG_HOME", "")
    path = (Path(home) if os.path.isabs(home) else Path("~/.config").expanduser()) / "reportgen" / "key"
    if not path.exists():
        note(f"made a key for the names of files: {path}; keep it, with another every name changes")
    return make_key(path)
