"""The mails of a finished run, read one by one and checked against its manifest or its packs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from reportgen.audit.place import ERASING, read_manifest
from reportgen.errors import InputError, OutputError
from reportgen.output.durable import open_inside
from reportgen.output.entries import MADE, PATH, Entry, read_entry
from reportgen.output.folder import is_run
from reportgen.output.packs import FOLDER as PACKS
from reportgen.output.packs import check_pack, packs_of, read_report
from reportgen.post.journal_record import REAL, TEST, Binding

#: A mail of a run is far shorter: 90 kB of page, twice in base64, and its pictures.
MOST_MAIL = 16_000_000


@dataclass(frozen=True)
class Found:
    """One mail of a run.

    Attributes
    ----------
    key : str
    data : bytes
        Empty where there is trouble.
    trouble : str
        Why it cannot be used; empty where it can.
    """

    key: str
    data: bytes
    trouble: str = ""


@dataclass(frozen=True)
class Mails:
    """The mails of one format of a finished run, in the order of keys; of packs, pack by pack.

    Attributes
    ----------
    run : Path
    word : str
        ``eml`` or ``crm``.
    manifest : dict
    """

    run: Path
    word: str
    manifest: dict[str, Any]

    @property
    def content(self) -> str:
        """What stands for everything that was made: the root of the run's hash tree, which an erasure leaves as it is.

        The hash of the manifest would change with every customer who is forgotten, and a sending could not be continued then.
        """
        root = self.manifest.get("merkle", {}).get("root")
        return str(root or sha256(json.dumps(self.manifest, sort_keys=True).encode("utf-8")).hexdigest())

    def binding(self, test: bool) -> Binding:
        """What the journal of a sending of these mails belongs to."""
        return Binding(str(self.manifest["run_id"]), self.content, TEST if test else REAL)

    @property
    def sender(self) -> str:
        """The address that the run's mails come from."""
        return str(self.manifest["settings"]["config"]["mail"]["from_address"])

    @property
    def packed(self) -> bool:
        return any(output["path"].startswith(f"{PACKS}/") for output in self.manifest["outputs"])

    def keys(self) -> list[str]:
        """Keys of everybody who has one."""
        if self.packed:
            return [entry.key for shard in packs_of(self.run) for entry in self._entries(shard)]
        return [match["key"] for match, _ in self._files()]

    def __iter__(self) -> Iterator[Found]:
        if self.packed:
            for shard in packs_of(self.run):
                for entry in self._entries(shard):
                    yield self._from_pack(entry)
            return
        for match, output in self._files():
            yield self._from_file(match["key"], output)

    def _files(self) -> list[tuple[re.Match[str], dict[str, Any]]]:
        found = ((PATH.fullmatch(output["path"]), output) for output in self.manifest["outputs"])
        mine = [(match, output) for match, output in found if match is not None and match["format"] == self.word]
        return sorted(mine, key=lambda pair: pair[0]["key"])

    def _from_file(self, key: str, output: dict[str, Any]) -> Found:
        try:
            with open_inside(self.run, output["path"]) as stream:
                if os.fstat(stream.fileno()).st_size > MOST_MAIL:
                    return Found(key, b"", "its file is far too long for a mail")
                data = stream.read(MOST_MAIL + 1)
        except OSError as error:
            return Found(key, b"", f"its file cannot be read ({error.strerror}); mend the run with build --resume")
        if sha256(data).hexdigest() != output["sha256"]:
            return Found(key, b"", "its file is not as the run wrote it; mend the run with build --resume")
        return Found(key, data)

    def _entries(self, shard: int) -> list[Entry]:
        """The mails of a pack, whose every byte is checked first."""
        entries = map(read_entry, check_pack(self.run, shard))
        return [entry for entry in entries if entry.status == MADE and entry.format == self.word]

    def _from_pack(self, entry: Entry) -> Found:
        try:
            return Found(entry.key, read_report(self.run, entry))
        except OutputError as error:
            return Found(entry.key, b"", str(error))


def open_mails(run: Path, word: str = "eml") -> Mails:
    """Open the mails of a finished run.

    Raises
    ------
    InputError
        No run folder, or a run without such mails.
    OutputError
        The run did not end, or its manifest is damaged.
    """
    manifest = open_manifest(run)
    if word not in (formats := manifest["settings"]["options"]["formats"]):
        raise InputError(f"{run} has no mails as {word}, but {', '.join(formats)}; build it with --format {word}")
    return Mails(run, word, manifest)


def open_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a finished run.

    Raises
    ------
    InputError
        No run folder.
    OutputError
        The run did not end, its manifest is damaged, or an erasure in it was not finished.
    """
    if not is_run(run):
        raise InputError(f"{run} is not a run folder of reportgen; name the folder that build wrote with --out")
    if (run / ERASING).exists():
        raise OutputError(f"{run}: an erasure was begun and not finished; run reportgen forget or purge again first")
    return read_manifest(run)
