"""A finished run copied to where fsspec reaches: an object store, a server, another folder.

The manifest is copied last. Whoever finds it there finds everything it names: each object was read back and compared before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from reportgen.errors import InputError, OutputError
from reportgen.output.durable import open_inside
from reportgen.output.folder import MANIFEST, MARKER, is_run
from reportgen.output.manifest import Output
from reportgen.output.store import Store, check_kind

#: On the target while another run is replaced: the former manifest, so that a copy broken off still knows what to take away.
_FORMER = ".manifest-former.json"
_MARK = b"a copy of a run folder of reportgen\n"


@dataclass(frozen=True)
class Copied:
    """What `copy_run` did: files sent, files that were there already, bytes of both."""

    url: str
    sent: int
    kept: int
    bytes: int


def check_target(url: str) -> None:
    """Say before any work whether a kind of URL can be used here. Nothing is sent, and the place is not looked at.

    Raises
    ------
    ConfigError
        As `copy_run`.
    """
    check_kind(url)


def copy_run(
    run: Path, url: str, options: Mapping[str, Any] | None = None, overwrite: bool = False, read_back: bool = True
) -> Copied:
    """Copy a finished run to any place that fsspec knows, the manifest last.

    A copy that was broken off is continued: what is there and the same is not sent again.

    Parameters
    ----------
    run : Path
        A run folder with its manifest.
    url : str
        Such as ``s3://bucket/folder``, ``file:///mnt/reports``, ``memory://x``. The place must be new, empty, or hold a copy of a run.
    options : mapping, optional
        For the file system of fsspec: keys, endpoints.
    overwrite : bool
        A copy of another run may be replaced. What only that run had is taken away at the end; nothing else ever is.
    read_back : bool
        Compare the SHA-256 of every object as it is read back. When False only its length is compared, which is cheaper where
        reading is paid for, and every file is sent: one that is there may have another content of the same length.

    Raises
    ------
    ConfigError
        fsspec or the package for this kind of URL is not installed, or the kind is not known.
    InputError
        No finished run.
    OutputError
        The place holds something else, a file of the run is not as the manifest says, or an object is not as it was sent.
    """
    if not is_run(run):
        raise InputError(f"{run} is not a run folder of reportgen; name the folder that build wrote with --out")
    manifest, outputs = _finished(run)
    target = _Target(url, options, read_back)
    with target.trouble():
        stale = target.check(manifest, outputs, overwrite)
        # The marker first: it says whose place this is before anything else lies there.
        target.put(MARKER, _MARK)
        sent = [target.put(output.path, _local(run, output.path, output)) for output in outputs]
        target.remove(stale)
        sent.append(target.put(MANIFEST, manifest))
    size = sum(output.bytes for output in outputs) + len(manifest)
    return Copied(target.name, sum(sent), len(sent) - sum(sent), size)


def _finished(run: Path) -> tuple[bytes, list[Output]]:
    try:
        manifest = _local(run, MANIFEST, None)
    except OutputError as error:
        raise InputError(f"{run} has no {MANIFEST}, so its run did not end; finish it with --resume") from error
    try:
        return manifest, [Output(**output) for output in json.loads(manifest)["outputs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{run}: {MANIFEST} is damaged ({error}); make the run again") from error


def _local(run: Path, path: str, output: Output | None) -> bytes:
    """One file of the run, as long as it is what the manifest says: a damaged one is not passed on."""
    try:
        with open_inside(run, path) as stream:
            data = stream.read()
    except OSError as error:
        raise OutputError(f"{run}: {path} cannot be read ({error.strerror}); make the run again") from error
    if output is not None and sha256(data).hexdigest() != output.sha256:
        raise OutputError(f"{run}: {path} is damaged (its SHA-256 is not the one in {MANIFEST}); make the run again")
    return data


class _Target(Store):
    """The place that a run is copied to.

    Parameters
    ----------
    url, options
        As for `Store`.
    read_back : bool
        As for `copy_run`.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None, read_back: bool) -> None:
        super().__init__(url, options)
        self.read_back = read_back

    def check(self, manifest: bytes, outputs: list[Output], overwrite: bool) -> set[str]:
        """Whether a copy may go there; what a former one has that this one has not. A former manifest loses its name first."""
        there, former = self.read(MANIFEST), self.read(_FORMER)
        if there is None and self.read(MARKER) is None and self._anything():
            raise OutputError(f"{self.name} holds something that is no copy of a run; name an empty or new place")
        if there is not None and there != manifest:
            if not overwrite:
                raise OutputError(f"{self.name} holds a copy of another run; name another place, or use --overwrite")
            self.put(MARKER, _MARK)
            self.put(_FORMER, there)
            self.remove({MANIFEST})
        left = _paths(former) | _paths(there if there != manifest else None)
        stale = {path for path in left - {output.path for output in outputs} if _inside(path)}
        return stale | {_FORMER}

    def _anything(self) -> bool:
        """Whether a file lies anywhere below the place."""
        return bool(self.files.exists(self.root) and self.files.find(self.root))

    def put(self, path: str, data: bytes) -> bool:
        """Send a file unless it is there; return whether it was sent. Either way it is there and the same afterwards."""
        if self.read_back and self._same(path, data):
            return False
        try:
            self.files.pipe_file(self.at(path), data)
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # a folder that is not there is said in as many ways as there are kinds of stores
            if not self._folder_was_lacking(self.at(path).rpartition("/")[0]):
                raise error from None
            self.files.pipe_file(self.at(path), data)
        self.files.invalidate_cache()
        if not self._same(path, data):
            raise OutputError(
                f"{self.name}: {path} is not there as it was sent; look at the store and run the same again"
            )
        return True

    def _folder_was_lacking(self, folder: str) -> bool:
        """Make a folder that is not there. A bucket is not made: that is the operator's to name and to set up."""
        self.files.invalidate_cache()
        if self.files.exists(folder):
            return False
        bucket = folder.partition("/")[0]
        if bucket and not self.files.exists(bucket):
            raise OutputError(f"{self.name}: {bucket} does not exist; make it first")
        try:
            self.files.makedirs(folder, exist_ok=True)
        except Exception:
            # After a transfer that failed, an FTP server's late answer can be taken for that to the next question: "not there" is
            # then no fact, and the first error is the one to tell.
            return False
        return True

    def remove(self, paths: set[str]) -> None:
        for path in sorted(paths):
            if self.files.exists(self.at(path)):
                self.files.rm_file(self.at(path))

    def _same(self, path: str, data: bytes) -> bool:
        try:
            if self.files.info(self.at(path))["size"] != len(data):
                return False
            return not self.read_back or sha256(self.files.cat_file(self.at(path))).digest() == sha256(data).digest()
        except FileNotFoundError:
            return False


def _paths(manifest: bytes | None) -> set[str]:
    try:
        return {str(output["path"]) for output in json.loads(manifest or b"{}")["outputs"]}
    except (ValueError, KeyError, TypeError):
        return set()


def _inside(path: str) -> bool:
    """A path from a manifest that lies there: it must not lead anywhere else."""
    return not path.startswith("/") and "\\" not in path and not {"", ".", ".."} & set(path.split("/"))
