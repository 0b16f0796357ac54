"""The one door to fsspec: a place that a URL names, its files whole or in part, and its errors without secrets.

A password may stand in a URL, and a store puts the URL, or the password alone, into what it says when something fails. All that is said
of a place goes through `Store.told`, so neither comes into a message, a log or a manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from reportgen.errors import ConfigError, OutputError, ReportgenError

#: What fsspec itself needs for a kind of URL.
_PACKAGES = {
    "http": "aiohttp", "https": "aiohttp", "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs",
    "abfss": "adlfs", "az": "adlfs", "sftp": "paramiko", "ssh": "paramiko", "smb": "smbprotocol", "webdav": "webdav4",
}  # fmt: skip
#: Kinds whose names and passwords fsspec takes out of a URL as they stand there, ``%40`` and all.
_SIGNED_IN = ("ftp", "sftp", "ssh")
_SECRET = re.compile(r"(?<=://)[^/\s]*@|\?[^\s'\"]*")
_LONGEST = 300
#: The range that was asked for begins behind the end of the file.
_NOT_SATISFIABLE = 416


def is_url(place: object) -> bool:
    """Whether a place is a URL, and not a folder of this machine."""
    return isinstance(place, str) and "://" in place


def named(url: str) -> str:
    """A URL as it may be said: without name, password and query."""
    return _SECRET.sub("", url)


class Store:
    """A place that fsspec reaches.

    Parameters
    ----------
    url : str
        Such as ``s3://bucket/folder``. ``user:password@`` may stand before the host, with ``%40`` for ``@``; better is the
        environment or the configuration file of fsspec (``FSSPEC_FTP_PASSWORD``), which other users of this machine cannot see.
    options : mapping, optional
        For the file system of fsspec: keys, endpoints.

    Attributes
    ----------
    name : str
        The URL as it may be said.
    files : fsspec.AbstractFileSystem

    Raises
    ------
    ConfigError
        fsspec or the package for this kind of URL is not installed, or the kind is not known.
    OutputError
        It cannot be reached, or does not let us in.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.name = named(url)
        self._secrets = _secrets(url)
        self.files, root = self._opened(url, dict(options or {}))
        self.root = root.rstrip("/")

    def _opened(self, url: str, options: dict[str, Any]) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise no_fsspec() from error
        kind, _, rest = url.partition("://")
        if not rest.strip("/"):
            raise ConfigError(f"{self.name} names no place; write it as s3://bucket/folder")
        if kind in _SIGNED_IN:
            url, options = _apart(url, options)
        try:
            files, root = url_to_fs(url, **options)
        except ImportError as error:
            raise self._missing(kind, error) from error
        except (ValueError, TypeError) as error:
            told = f"{self.name} cannot be used ({self.told(error)}); write it as s3://bucket/folder"
            raise ConfigError(told) from error
        except Exception as error:  # some connect here, and their errors are of packages that may not be there
            told = f"{self.name} cannot be reached ({self.told(error)}); look at address, name and password"
            raise OutputError(told) from error
        return files, str(root)

    def _missing(self, kind: str, error: ImportError) -> ConfigError:
        return ConfigError(f"{self.name} cannot be reached: {self._harmless(error)}{_install_line(kind)}")

    def _harmless(self, error: BaseException) -> str:
        """What an error says, in one line and without what is secret in the URL."""
        text = " ".join(str(error).split())
        for secret in self._secrets:
            text = text.replace(secret, "...")
        return _SECRET.sub("", text)[:_LONGEST]

    def told(self, error: BaseException) -> str:
        """An error with the name of its class, which for some is all that they say; without secrets."""
        return f"{type(error).__name__}: {text}" if (text := self._harmless(error)) else type(error).__name__

    @contextmanager
    def trouble(self) -> Iterator[None]:
        """Errors of a network or a store have many classes, of packages that may not be there; ours pass through."""
        try:
            yield
        except ReportgenError:
            raise
        except Exception as error:
            told = f"{self.name} failed ({self.told(error)}); look at the connection and run the same again"
            raise OutputError(told) from error

    def at(self, path: str) -> str:
        """A file below the place, as the file system wants it."""
        return f"{self.root}/{path}"

    def read(self, path: str) -> bytes | None:
        """A whole file; None when it is not there."""
        try:
            return bytes(self.files.cat_file(self.at(path)))
        except FileNotFoundError:
            return None

    def part(self, path: str, start: int, end: int) -> bytes:
        """Some bytes of a file; fewer where it ends before.

        Raises
        ------
        FileNotFoundError
        """
        try:
            found = bytes(self.files.cat_file(self.at(path), start=start, end=end))
        except Exception as error:
            if getattr(error, "status", None) == _NOT_SATISFIABLE:
                return b""
            raise
        # A server that knows no ranges sends the whole file.
        return found if len(found) <= end - start else found[start:end]


def no_fsspec() -> ConfigError:
    """What to install for URLs at all."""
    return ConfigError('a URL needs fsspec; pip install "reportgen[remote]"')


def check_kind(url: str) -> None:
    """Say before any work whether a kind of URL can be used here. Nothing is sent, and the place is not looked at.

    Raises
    ------
    ConfigError
    """
    try:
        from fsspec.core import split_protocol
        from fsspec.registry import get_filesystem_class
    except ImportError as error:
        raise no_fsspec() from error
    kind = split_protocol(url)[0] or "file"
    try:
        get_filesystem_class(kind)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{named(url)} cannot be reached: {error}{_install_line(kind)}") from error


def _install_line(kind: str) -> str:
    return f'; pip install "reportgen[remote]" {_PACKAGES[kind]}' if kind in _PACKAGES else ""


def _secrets(url: str) -> list[str]:
    """Password and query of a URL, also as they are unquoted, the longest first; none where it cannot be read."""
    try:
        parts = urlsplit(url)
        found = {parts.password or "", unquote(parts.password or ""), parts.query}
    except ValueError:
        return []
    return sorted(found - {""}, key=len, reverse=True)


def _apart(url: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and password out of a URL and into the options, unquoted."""
    head, mark, rest = url.partition("://")
    who, at, _ = rest.partition("/")[0].rpartition("@")
    if not at:
        return url, options
    name, _, password = who.partition(":")
    signed = {"username": unquote(name), "password": unquote(password)}
    return f"{head}{mark}{rest[len(who) + 1 :]}", {key: value for key, value in signed.items() if value} | options
